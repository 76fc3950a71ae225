// What gives a job its threads. Everything else that tasks are promised (their order, failures,
// interruption) is the job's, so that it can't differ between engines.
#pragma once

#include "parallel/job.hpp"

namespace papilio {

class Engine {
 public:
  virtual const char* name() const = 0;

  /// Runs job.work() on the caller, and enter() and help() on up to helpers_wanted() other threads;
  /// returns when none of them touches the job. One call at a time. Throws nothing.
  virtual void run(Job& job) = 0;

  /// What runs jobs in a child forked from this process, where no other thread lives, and a lock
  /// of this engine may be held by one that doesn't live.
  virtual Engine* in_child() = 0;

 protected:
  ~Engine() = default;  // none is ever destroyed: helpers sleep in it until the process ends
};

Engine* make_pool_engine();
Engine* make_openmp_engine();  // only where the compiler has OpenMP

}  // namespace papilio
