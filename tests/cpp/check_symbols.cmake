# A kernel object defines the function of its table and no weak symbol: a weak one, compiled for AVX-512,
# could be the copy that the linker picks for every CPU.
execute_process(COMMAND ${NM} --defined-only ${OBJECTS} OUTPUT_VARIABLE symbols RESULT_VARIABLE status)
if(status)
  message(FATAL_ERROR "nm failed on ${OBJECTS}")
endif()
string(REGEX MATCHALL "[^\n]* [A-Zuvw] [^\n]*" global "${symbols}")
list(LENGTH global count)
list(LENGTH OBJECTS objects)
list(FILTER global EXCLUDE REGEX " T .*(_kernels|table)_${ISA}")
if(NOT count EQUAL objects OR global)
  message(FATAL_ERROR "${OBJECTS} export\n${symbols}\nexpected T ..._kernels_${ISA} or ...table_${ISA} from each and nothing else")
endif()
