// The interpreter's lock: given up and taken back in ways that survive the end of the interpreter.
#pragma once

#include <Python.h>

#include <unistd.h>

namespace papilio {

/// Calls what takes the lock. A daemon thread that asks for it while the interpreter ends is ended
/// by Python (before 3.14) with an unwinding of its stack, which would run destructors of Python
/// objects without the lock and end the process at the first one that must not throw. Such a
/// thread stops here instead, as later versions do it, until the process is gone.
template <class Take>
auto take_lock(const Take& take) {
  try {
    return take();
  } catch (...) {  // nothing else is thrown there; what is has no object to refer to
    for (;;) pause();
  }
}

/// While it lives, this thread doesn't have the lock, which it has.
class WithoutLock {
 public:
  WithoutLock() : state_(PyEval_SaveThread()) {}
  ~WithoutLock() {
    take_lock([&] { PyEval_RestoreThread(state_); });
  }
  WithoutLock(const WithoutLock&) = delete;
  WithoutLock& operator=(const WithoutLock&) = delete;

 private:
  PyThreadState* state_;
};

/// While it lives, this thread has the lock, whether it had it before or not.
class WithLock {
 public:
  WithLock() : state_(take_lock([] { return PyGILState_Ensure(); })) {}
  ~WithLock() { PyGILState_Release(state_); }
  WithLock(const WithLock&) = delete;
  WithLock& operator=(const WithLock&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace papilio
