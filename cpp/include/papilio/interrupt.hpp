// Interrupts: how long work notices that it is to end.
#pragma once

namespace papilio {

/// Tells check_interrupt what to ask. `check` throws if the work is to end; it is called on
/// whatever thread works, and has to know itself whether that thread may ask.
void set_interrupt_check(void (*check)());

/// To be called between blocks by whatever may take longer than a tenth of a second, at least every
/// few milliseconds, on any thread: some 20 ns, and every 20 ms the question that
/// set_interrupt_check was given. What that throws ends the work; a body of parallel_for may throw
/// it, too. Must not be called while holding a lock that a thread with the interpreter's may want.
void check_interrupt();

}  // namespace papilio
