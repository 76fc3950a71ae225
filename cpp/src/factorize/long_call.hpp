// Calls of other libraries that take long and can't be interrupted.
#pragma once

#include <functional>

namespace papilio {

/// Runs call() on a thread of its own, while this one polls for interruption. What
/// poll_interruption throws comes out of this, and leaves the call to end by itself: it must own
/// all that it touches. The end of the process waits for it. What the call throws comes out, too.
void run_long_call(const std::function<void()>& call);

}  // namespace papilio
