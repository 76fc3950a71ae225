#include "kernels/dispatch.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "papilio/config.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace papilio {
namespace kernels {

// One row per instruction set that was compiled; CMake knows which.
#define PAPILIO_ISA_ROW(name)                   \
  const Kernels& float32_kernels_##name();      \
  const Kernels& float64_kernels_##name();      \
  const Kernels& complex64_kernels_##name();    \
  const Kernels& complex128_kernels_##name();   \
  const BlockTable& block_table_##name();       \
  const ChainTable& chain_table_##name();       \
  const GradientTable& gradient_table_##name(); \
  const WindowTable& window_table_##name();     \
  const FormulaTable& formula_table_##name();
PAPILIO_ISA_ROWS
#undef PAPILIO_ISA_ROW

namespace {

bool cpu_has(const char* isa) {
#if defined(__x86_64__)
  // __builtin_cpu_supports asks the operating system too whether it saves the wide registers.
  // The single features are named because Clang 14 doesn't know the x86-64-v* levels.
  // Everything that -march=x86-64-v3 lets the compiler use: LZCNT, MOVBE and F16C, which it has no
  // names for everywhere, are asked for by their bits.
  unsigned a = 0, b = 0, c = 0, d = 0, extended_c = 0;
  if (!__get_cpuid(0x80000001u, &a, &b, &extended_c, &d) || !__get_cpuid(1, &a, &b, &c, &d))
    return !std::strcmp(isa, "baseline") || !std::strcmp(isa, "emulated512");
  constexpr unsigned lzcnt = 1u << 5, lahf = 1u << 0, movbe = 1u << 22, f16c = 1u << 29,
                     cx16 = 1u << 13;
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("sse4.2") &&
                  (extended_c & lzcnt) && (extended_c & lahf) && (c & movbe) && (c & f16c) &&
                  (c & cx16);
  if (!std::strcmp(isa, "avx2")) return v3;
  if (!std::strcmp(isa, "avx512"))
    return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#endif
  return !std::strcmp(isa, "baseline") || !std::strcmp(isa, "neon") ||
         !std::strcmp(isa, "emulated512");
}

const std::vector<Table>& usable_tables() {
  static const std::vector<Table> tables = [] {
    std::vector<Table> found;
#define PAPILIO_ISA_ROW(name)                                                     \
  if (cpu_has(#name))                                                             \
    found.push_back({#name,                                                       \
                     {&float32_kernels_##name(), &float64_kernels_##name(),       \
                      &complex64_kernels_##name(), &complex128_kernels_##name()}, \
                     &block_table_##name(),                                       \
                     &chain_table_##name(),                                       \
                     &gradient_table_##name(),                                    \
                     &window_table_##name(),                                      \
                     &formula_table_##name()});
    PAPILIO_ISA_ROWS
#undef PAPILIO_ISA_ROW
    return found;
  }();
  return tables;
}

Table choose() {
  const char* wanted = std::getenv("PAPILIO_ISA");
  if (!wanted || !*wanted) return usable_tables().back();
  std::string usable;
  for (const Table& found : usable_tables()) {
    if (!std::strcmp(found.isa, wanted)) return found;
    usable += (usable.empty() ? "" : ", ") + std::string(found.isa);
  }
  throw std::invalid_argument(std::string("PAPILIO_ISA is '") + wanted +
                              "', but this build on this CPU runs: " + usable);
}

}  // namespace

const Table& active_table() {
  static const Table chosen = choose();
  return chosen;
}

}  // namespace kernels

std::string active_isa() { return kernels::active_table().isa; }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const kernels::Table& found : kernels::usable_tables()) names.emplace_back(found.isa);
  return names;
}

std::string cpu_name() {
#if defined(__x86_64__)
  unsigned registers[12] = {};
  unsigned* r = registers;
  for (unsigned leaf = 0x80000002u; leaf <= 0x80000004u; ++leaf, r += 4)
    if (!__get_cpuid(leaf, r, r + 1, r + 2, r + 3)) return "unknown";
  char name[sizeof registers + 1] = {};
  std::memcpy(name, registers, sizeof registers);
  std::string text = name;
  text.erase(text.find_last_not_of(' ') + 1);
  text.erase(0, text.find_first_not_of(' '));
  unsigned a = 0, b = 0, c = 0, d = 0;
  __get_cpuid(1, &a, &b, &c, &d);
  const unsigned family = ((a >> 8) & 15) + ((a >> 20) & 255);
  const unsigned model = ((a >> 4) & 15) | ((a >> 12) & 240);
  return text + " (family " + std::to_string(family) + ", model " + std::to_string(model) + ")";
#else
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
#endif
}

}  // namespace papilio
