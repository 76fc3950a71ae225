// What this build and this machine are.
#pragma once

#include <string>
#include <vector>

namespace papilio {

/// The instruction set in use; throws std::invalid_argument if PAPILIO_ISA can't be honoured.
std::string active_isa();

/// The instruction sets that this build holds and this CPU has, plainest first.
std::vector<std::string> available_isas();

/// The CPU's name as it tells it, or "unknown".
std::string cpu_name();

}  // namespace papilio
