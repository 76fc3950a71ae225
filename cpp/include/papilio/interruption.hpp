// Long work: what it tells, and one hook for all of the core that may end it, asked between pieces
// of work that take well below a tenth of a second.
#pragma once

#include <atomic>
#include <functional>

namespace papilio {

/// Called now and then, by the calling thread, with the fraction that is done; may throw.
using Progress = std::function<void(double)>;

/// What poll_interruption() calls: it throws to end the work. Null for none.
void set_interruption(void (*hook)());

/// Calls the hook if this thread hasn't done so for some 20 ms. In a helper thread, throws
/// Cancelled if the work that it helps with has failed: its caller is the one who asks.
void poll_interruption();

/// Thrown in helpers only.
struct Cancelled {};

/// Polls in one of some thousand steps: for long loops of steps that take nanoseconds.
class SteppedPoll {
 public:
  void step() {
    if (++steps_ % 4096 == 0) poll_interruption();
  }

 private:
  unsigned steps_ = 0;
};

/// While it lives, this thread helps with work that has failed once `failed` is true.
class Helping {
 public:
  explicit Helping(const std::atomic<bool>& failed);
  ~Helping();
  Helping(const Helping&) = delete;
  Helping& operator=(const Helping&) = delete;
};

}  // namespace papilio
