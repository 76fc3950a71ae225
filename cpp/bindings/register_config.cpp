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

/// Raises what a signal's handler raises (Ctrl-C: KeyboardInterrupt), on the main thread, which is
/// where handlers run.
void check_signals() {
  const WithLock held;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace

void register_config(py::module_& module) {
  try {
    active_isa();
    num_threads();
  } catch (const std::invalid_argument& error) {
    throw py::import_error(error.what());
  }
  set_interruption(&check_signals);
  module.def("isa", &active_isa);
  module.def("available_isas", &available_isas);
  module.def("cpu", &cpu_name);
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
                                              {"threading", threading_layer()}};
  });
}

}  // namespace papilio
