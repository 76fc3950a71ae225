#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include <atomic>

#include "bindings.hpp"
#include "papilio/apply.hpp"
#include "papilio/config.hpp"
#include "papilio/interruption.hpp"
#include "papilio/threads.hpp"

namespace papilio {

namespace {

std::string compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

/// The thread on which Python runs signal handlers.
std::atomic<unsigned long> main_thread{0};

/// Raises what a signal's handler raises (Ctrl-C: KeyboardInterrupt). Other threads than the main
/// one have nothing to ask, and don't wait for the interpreter's lock.
void check_signals() {
  if (PyThread_get_thread_ident() != main_thread.load(std::memory_order_relaxed)) return;
  const WithLock held;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

/// Of the OpenMP that this was compiled with, as compilers tell it (201511 is 4.5).
std::string openmp() {
#ifdef _OPENMP
  return std::to_string(_OPENMP);
#else
  return "none";
#endif
}

void watch_signals() {
  main_thread =
      py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
#if defined(__unix__) || defined(__APPLE__)
  // The thread that forks is the child's main one.
  static const int watching =
      pthread_atfork(nullptr, nullptr, [] { main_thread = PyThread_get_thread_ident(); });
  static_cast<void>(watching);
#endif
  set_interruption(&check_signals);
}

}  // namespace

// By this name threadpoolctl's controller (papilio/_threadpools.py) tells this library from others
// called _core.
extern "C" PYBIND11_EXPORT int papilio_get_num_threads() { return num_threads(); }

void register_config(py::module_& module) {
  try {
    active_isa();
    num_threads();
    threading_engine();
  } catch (const std::invalid_argument& error) {
    throw py::import_error(error.what());
  }
  watch_signals();
  module.def("isa", &active_isa);
  module.def("available_isas", &available_isas);
  module.def("cpu", &cpu_name);
  module.def("threading_engine", &threading_engine);
  module.def("threading_engines", &threading_engines);
  module.def("get_num_threads", &num_threads);
  module.def("set_num_threads", &set_num_threads);
  module.def("set_thresholds", [](double worth_a_thread, Index large_bytes) {
    set_worth_a_thread(worth_a_thread);
    set_large_bytes(large_bytes);
  });
  module.def("build_info", [] {
    return std::map<std::string, std::string>{{"version", PAPILIO_VERSION},
                                              {"compiler", compiler()},
                                              {"cxx", std::to_string(__cplusplus)},
                                              {"openmp", openmp()}};
  });
}

}  // namespace papilio
