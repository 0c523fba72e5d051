// SPDX-License-Identifier: Apache-2.0
//
// Scout and taker of a mailbox on two threads, over memory that the taker changes. Prints what is
// wrong and returns 1; built with ThreadSanitizer, whatever is not ordered is reported too.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "mailbox.cuh"

namespace {

const hw_team<1> team = {0};
alignas(128) hw_chunk_t memory[HW_MAIL_CHUNKS];

void set(hw_u32 value) {
  for (hw_u32 at = 0; at < HW_MAIL_CHUNKS; ++at) {
    hw_store_system((hw_u64)&memory[at], hw_chunk_t{{value, value + at, ~value, value}});
  }
}

void expect(bool is, const char *what, hw_u32 number) {
  if (!is) {
    std::fprintf(stderr, "mail %u: %s\n", number, what);
    std::exit(1);
  }
}

// Each chunk whole, none older than the one before it, none older than `since`.
void check(const hw_mail &mail, hw_u32 number, hw_u32 since, hw_u32 *newest) {
  for (hw_u32 at = 0; at < HW_MAIL_CHUNKS; ++at) {
    const hw_u32 *word = mail.chunk[at].word;
    expect(word[1] == word[0] + at && word[2] == ~word[0] && word[3] == word[0], "a torn chunk",
           number);
    expect(word[0] >= newest[at], "older than the one before", number);
    expect(word[0] >= since, "older than two polls", number);
    newest[at] = word[0];
  }
  for (hw_u32 pair = 0; pair < HW_DESC_BYTES / 2; ++pair) {
    const hw_u32 word = mail.chunk[pair / 6].word[pair % 6 / 2];
    expect(mail.pair(pair) == (word >> 16 * (pair % 2) & 0xFFFFu), "lies elsewhere by pairs",
           number);
  }
}

}  // namespace

int main(int, char **arguments) {
  const hw_u32 lives = (hw_u32)std::atoi(arguments[1]), mails = (hw_u32)std::atoi(arguments[2]);
  for (hw_u32 life = 0; life < lives; ++life) {
    hw_mailbox box{};
    hw_u32 newest[HW_MAIL_CHUNKS] = {};
    set(0);
    std::thread scout([&box] { hw_scout((hw_u64)memory, &box, team); });
    for (hw_u32 number = 0; number < mails; ++number) {
      const hw_mail mail = hw_take_mail(&box, number, team);
      // Changed behind mail n: n + 1 is ready by then, and n + 2 may be in flight.
      check(mail, number, number < 3 ? 0 : number - 2, newest);
      // In one stretch of eight, mail n + 1 is as old as it can be: the scout polls before the
      // change, however the threads are scheduled. One handed over late is then too old.
      if (number / 64 % 8 == 7) {
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
      set(number + 1);
    }
    hw_refuse_mail(&box, mails, team);
    scout.join();
  }
  return 0;
}
