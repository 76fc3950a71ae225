// The threads of the compiler's OpenMP runtime, which are those of other libraries in the process
// that use the same runtime. A region ends only when each of its threads has come to its end, also
// one that found no task: a caller waits for a helper that the system doesn't start in time.
// Where the system gives it no thread at all, libgomp ends the process.
#include <omp.h>

#include "parallel/engine.hpp"

namespace papilio {

namespace {

class OpenMPEngine final : public Engine {
 public:
  const char* name() const override { return "openmp"; }

  void run(Job& job) override {
#pragma omp parallel num_threads(job.helpers_wanted() + 1)
    {
      if (omp_get_thread_num() == 0) {
        job.work();
        job.wait_for_helpers();  // at the region's own barrier the caller couldn't be interrupted
      } else if (job.enter()) {
        job.help();
      }
    }
  }

  // libgomp hangs in the child of a process that has used it: the forking thread waits for a team
  // that isn't there. Whether another library has used it can't be asked.
  Engine* in_child() override { return make_pool_engine(); }
};

}  // namespace

Engine* make_openmp_engine() { return new OpenMPEngine; }

}  // namespace papilio
