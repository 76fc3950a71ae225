// Long work that somebody may want to end: one hook for all of the core, asked between pieces of
// work that take well below a tenth of a second.
#pragma once

#include <atomic>

namespace papilio {

/// What poll_interruption() calls: it throws to end the work. Null for none.
void set_interruption(void (*hook)());

/// Calls the hook if this thread hasn't done so for some 20 ms. In a helper thread, throws
/// Cancelled if the work that it helps with has failed: its caller is the one who asks.
void poll_interruption();

/// Thrown in helpers only.
struct Cancelled {};

/// While it lives, this thread helps with work that has failed once `failed` is true.
class Helping {
 public:
  explicit Helping(const std::atomic<bool>& failed);
  ~Helping();
  Helping(const Helping&) = delete;
  Helping& operator=(const Helping&) = delete;
};

}  // namespace papilio
