# A kernel object defines its table function and no weak symbol: a weak one, compiled for AVX-512,
# could be the copy that the linker picks for every CPU.
execute_process(COMMAND ${NM} --defined-only ${OBJECTS} OUTPUT_VARIABLE symbols RESULT_VARIABLE status)
if(status)
  message(FATAL_ERROR "nm failed on ${OBJECTS}")
endif()
string(REGEX MATCHALL "[^\n]* [A-Zuvw] [^\n]*" global "${symbols}")
list(LENGTH global count)
if(NOT count EQUAL 1 OR NOT global MATCHES " T .*table_${ISA}")
  message(FATAL_ERROR "${OBJECTS} exports\n${global}\nexpected one symbol, T table_${ISA}")
endif()
