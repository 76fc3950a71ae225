// The default number of threads: OMP_NUM_THREADS, affinity and cgroup quotas, from files made here.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#ifdef __linux__
#include <sched.h>
#endif

#include "parallel/cpus.hpp"

using namespace papilio;
namespace fs = std::filesystem;

namespace {

int failures = 0;

void check(bool good, const char* what) {
  if (good) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

/// A directory in which files are written, gone at the end.
class Root {
 public:
  Root() : path_(fs::temp_directory_path() / ("papilio_cpus_" + std::to_string(std::rand()))) {
    fs::remove_all(path_);
  }
  ~Root() { fs::remove_all(path_); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  Root& with(const std::string& file, const std::string& text) {
    const fs::path whole = path_ / file;
    fs::create_directories(whole.parent_path());
    std::ofstream(whole) << text << '\n';
    return *this;
  }
  double quota() const { return cgroup_quota(path_.string()); }

 private:
  fs::path path_;
};

void test_openmp_threads() {
  check(openmp_threads("4") == 4 && openmp_threads(" 3 ") == 3, "a number");
  check(openmp_threads("4,2") == 4 && openmp_threads("5 , 1") == 5, "the outermost of a list");
  for (const char* text : {"", "0", "-1", "many", "4x", ",2", " "})
    check(!openmp_threads(text), "what OpenMP doesn't understand");
  check(!openmp_threads(nullptr), "an unset variable");
  check(openmp_threads("99999999999") > 1000000, "an absurd number stays one");
}

void test_quotas() {
  check(quota_of_cpu_max("150000 100000") == 1.5, "cpu.max");
  for (const char* text : {"max 100000", "", "100000", "0 100000", "5 0", "nonsense here"})
    check(std::isinf(quota_of_cpu_max(text)), "no quota in cpu.max");
  check(quota_of_cfs("50000", "100000") == 0.5, "cpu.cfs_quota_us");
  check(std::isinf(quota_of_cfs("-1", "100000")) && std::isinf(quota_of_cfs("", "")),
        "no cfs quota");
  const double infinity = HUGE_VAL;
  check(threads_for_cpus(4, infinity) == 4 && threads_for_cpus(4, 8) == 4, "as many as CPUs");
  check(threads_for_cpus(4, 1.5) == 2 && threads_for_cpus(4, 2) == 2, "a part counts as one");
  check(threads_for_cpus(4, 0.1) == 1 && threads_for_cpus(4, 1e-9) == 1, "at least one");
}

void test_cgroup_files() {
  check(std::isinf(Root().quota()), "no files");
  check(std::isinf(Root().with("proc/self/cgroup", "no colons\n1:only one").quota()), "nonsense");
  const std::string v2 = "sys/fs/cgroup";
  check(Root().with("proc/self/cgroup", "0::/a.slice/b.scope")
                .with(v2 + "/a.slice/cpu.max", "200000 100000")
                .with(v2 + "/a.slice/b.scope/cpu.max", "max 100000")
                .quota() == 2,
        "the quota of a parent holds");
  check(Root().with("proc/self/cgroup", "0::/a.slice/b.scope")
                .with(v2 + "/a.slice/cpu.max", "200000 100000")
                .with(v2 + "/a.slice/b.scope/cpu.max", "50000 100000")
                .quota() == 0.5,
        "the least one holds");
  check(Root().with("proc/self/cgroup", "0::/").with(v2 + "/cpu.max", "300000 100000").quota() == 3,
        "a container sees its own group as the root");
  const std::string v1 = "sys/fs/cgroup/cpu,cpuacct";
  check(Root().with("proc/self/cgroup", "9:cpuset:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/docker/1")
                .with(v1 + "/cpu.cfs_quota_us", "250000")
                .with(v1 + "/cpu.cfs_period_us", "100000")
                .quota() == 2.5,
        "version 1, mounted in a container that sees the host's path");
  check(std::isinf(Root()
                       .with("proc/self/cgroup", "4:cpu:/x\n3:cpuset:/x")
                       .with("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1")
                       .with("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000")
                       .with("sys/fs/cgroup/cpuset/x/cpu.cfs_quota_us", "100000")
                       .with("sys/fs/cgroup/cpuset/x/cpu.cfs_period_us", "100000")
                       .quota()),
        "no quota in version 1, and cpuset isn't cpu");
}

#ifdef __linux__
void test_affinity() {
  cpu_set_t before, one;
  check(sched_getaffinity(0, sizeof before, &before) == 0, "affinity");
  check(cpus_of_affinity() == CPU_COUNT(&before), "all that the process has");
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  check(sched_setaffinity(0, sizeof one, &one) == 0, "to one CPU");
  check(cpus_of_affinity() == 1, "one CPU is left");
  sched_setaffinity(0, sizeof before, &before);
}
#endif

}  // namespace

int main() {
  test_openmp_threads();
  test_quotas();
  test_cgroup_files();
#ifdef __linux__
  test_affinity();
#endif
  std::printf(failures ? "%d failed\n" : "all passed\n", failures);
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
