# Builds for 64-bit ARM on another machine; the tests run in qemu:
#   cmake -S . -B build/aarch64 -DCMAKE_TOOLCHAIN_FILE=cpp/cmake/aarch64-linux-gnu.cmake
#     -DPAPILIO_PYTHON=OFF -DPAPILIO_TESTS=ON
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
# Clang takes the target by its name: -DCMAKE_CXX_COMPILER=clang++.
if(NOT CMAKE_CXX_COMPILER)
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-gnu)
foreach(tool AR RANLIB NM)
  string(TOLOWER ${tool} name)
  set(CMAKE_${tool} aarch64-linux-gnu-${name} CACHE FILEPATH "Of the target")
endforeach()
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
find_program(PAPILIO_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(PAPILIO_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${PAPILIO_QEMU} -L /usr/aarch64-linux-gnu)
endif()
