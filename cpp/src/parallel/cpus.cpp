#include "parallel/cpus.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>
#ifdef __linux__
#include <sched.h>
#endif

namespace papilio {

namespace {

constexpr double unlimited = std::numeric_limits<double>::infinity();

double ratio_of(const std::string& quota, const std::string& period) {
  const long long time = std::strtoll(quota.c_str(), nullptr, 10);
  const long long of = std::strtoll(period.c_str(), nullptr, 10);
  return time > 0 && of > 0 ? static_cast<double>(time) / static_cast<double>(of) : unlimited;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The least quota of the cgroup `path` below `mount` and of its parents. In a container the path
/// may be the host's and only `mount` itself be there.
template <class Quota>
double least_quota(const std::string& mount, std::string path, const Quota& quota_of) {
  double least = unlimited;
  for (;;) {
    least = std::min(least, quota_of(mount + path));
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return least;
    path.erase(slash);
  }
}

bool has_word(const std::string& list, const std::string& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

}  // namespace

int cpus_of_affinity() {
#ifdef __linux__
  // The kernel refuses a set that is smaller than its own.
  for (int most = 1024; most <= 1 << 20; most *= 2) {
    cpu_set_t* set = CPU_ALLOC(most);
    if (!set) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(most);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::optional<int> openmp_threads(const char* text) {
  if (!text) return {};
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  while (*end == ' ' || *end == '\t') ++end;
  if (end == text || (*end && *end != ',') || value < 1) return {};
  return static_cast<int>(std::min<long>(value, std::numeric_limits<int>::max()));
}

double quota_of_cpu_max(const std::string& cpu_max) {
  std::istringstream words(cpu_max);
  std::string quota, period;
  words >> quota >> period;
  return ratio_of(quota, period);
}

double quota_of_cfs(const std::string& quota_us, const std::string& period_us) {
  return ratio_of(quota_us, period_us);
}

double cgroup_quota(const std::string& root) {
  double least = unlimited;
  std::ifstream file(root + "/proc/self/cgroup");
  // Lines of hierarchy:controllers:path; no controllers for version 2.
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    const std::string mount = root + "/sys/fs/cgroup";
    if (controllers.empty())
      least = std::min(least, least_quota(mount, path, [](const std::string& group) {
                         return quota_of_cpu_max(first_line(group + "/cpu.max"));
                       }));
    else if (has_word(controllers, "cpu"))
      least = std::min(least,
                       least_quota(mount + "/" + controllers, path, [](const std::string& group) {
                         return quota_of_cfs(first_line(group + "/cpu.cfs_quota_us"),
                                             first_line(group + "/cpu.cfs_period_us"));
                       }));
  }
  return least;
}

int threads_for_cpus(int cpus, double quota) {
  return std::max(1, quota < cpus ? static_cast<int>(std::ceil(quota)) : cpus);
}

}  // namespace papilio
