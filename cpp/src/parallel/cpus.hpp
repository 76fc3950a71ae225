// How many CPUs this process may use: what its affinity, its cgroups and OMP_NUM_THREADS say.
#pragma once

#include <optional>
#include <string>

namespace papilio {

/// CPUs that the scheduler may run this process on.
int cpus_of_affinity();

/// The number of threads that OMP_NUM_THREADS = `text` gives the outermost regions ("4", "4,2");
/// none if it is null or OpenMP wouldn't understand it.
std::optional<int> openmp_threads(const char* text);

/// CPUs' worth of time in each period of cgroup v2's cpu.max ("150000 100000": 1.5) and of v1's
/// cpu.cfs_quota_us and cpu.cfs_period_us; infinity for no limit, or what isn't such a file.
double quota_of_cpu_max(const std::string& cpu_max);
double quota_of_cfs(const std::string& quota_us, const std::string& period_us);

/// The least of the quotas of this process's cgroups and of those that they are in; infinity for
/// none. `root` is where /proc and /sys lie; they are looked for where systemd mounts them.
double cgroup_quota(const std::string& root = "");

/// Threads for so many CPUs under a quota: a part of a CPU is worth a thread.
int threads_for_cpus(int cpus, double quota);

}  // namespace papilio
