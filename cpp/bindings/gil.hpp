// The interpreter's lock: given up and taken back in ways that survive the end of the interpreter.
#pragma once

#include <Python.h>

#include <exception>
#include <utility>
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif
#include <unistd.h>

namespace papilio {

/// Calls what takes the lock. A daemon thread that asks for it while the interpreter ends is ended
/// by Python (before 3.14) with an unwinding of its stack, which would run destructors of Python
/// objects without the lock and end the process at the first one that must not throw. Such a
/// thread stops here instead, as later versions do it, until the process is gone.
template <class Take>
auto take_lock(const Take& take) {
#if defined(__GLIBCXX__)
  try {
    return take();
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
#else
  return take();
#endif
}

/// Calls without the lock, which this thread has.
template <class Call>
void without_lock(const Call& call) {
  PyThreadState* const state = PyEval_SaveThread();
  std::exception_ptr failure;
  try {
    call();
  } catch (...) {
    failure = std::current_exception();
  }
  take_lock([&] { PyEval_RestoreThread(state); });
  if (failure) std::rethrow_exception(failure);
}

/// Calls with the lock, whether this thread has it or not; from any thread.
template <class Call>
void with_lock(const Call& call) {
  const PyGILState_STATE state = take_lock([] { return PyGILState_Ensure(); });
  std::exception_ptr failure;
  try {
    call();
  } catch (...) {
    failure = std::current_exception();
  }
  PyGILState_Release(state);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace papilio
