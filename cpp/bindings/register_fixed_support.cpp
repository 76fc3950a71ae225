#include <cstring>
#include <limits>
#include <mutex>

#include "bindings.hpp"
#include "closedness.hpp"
#include "papilio/fixed_support.hpp"

namespace papilio {

namespace {

using Starts = py::array_t<std::int64_t, py::array::c_style>;
using Indices = py::array_t<std::int32_t, py::array::c_style>;

[[noreturn]] void refuse(const char* name, const char* what) {
  throw py::value_error(std::string(name) + ": " + what);
}

/// A number of rows or columns.
Index to_length(Index length, const char* name) {
  if (length < 0 || length > std::numeric_limits<std::int32_t>::max())
    refuse(name, ("is " + std::to_string(length) + ", expected 0 to 2**31 - 1").c_str());
  return length;
}

/// Index sets as CSR has them; what could make the core read out of bounds is checked.
IndexSetsView to_sets(const Starts& start, const Indices& index, Index bound, const char* name) {
  if (start.ndim() != 1 || index.ndim() != 1 || start.size() < 1)
    refuse(name, "start and index must have one axis");
  const IndexSetsView sets{start.size() - 1, start.data(), index.data()};
  if (sets.start[0] != 0 || sets.start[sets.size] != index.size())
    refuse(name, "start must run from 0 to the number of indices");
  for (Index n = 0; n < sets.size; ++n)
    if (sets.start[n] > sets.start[n + 1]) refuse(name, "start must not decrease");
  for (Index n = 0; n < sets.size; ++n) {
    std::int32_t before = -1;
    for (std::int32_t x : sets[n]) {
      if (x <= before || x >= bound) refuse(name, "indices must ascend and be within bounds");
      before = x;
    }
  }
  return sets;
}

template <class T>
py::array_t<T> to_array(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::tuple to_tuple(const IndexSets& sets) {
  return py::make_tuple(to_array(sets.start), to_array(sets.index));
}

/// Index sets of our own: what was checked must stay as it was.
IndexSets to_own_sets(const Starts& start, const Indices& index, Index bound, const char* name) {
  const IndexSetsView sets = to_sets(start, index, bound, name);
  return {{sets.start, sets.start + sets.size + 1}, {sets.index, sets.index + index.size()}};
}

/// A pair of supports with their memory.
struct SupportArrays {
  IndexSets left, right;
  Supports supports;

  SupportArrays(Index rows, Index cols, const Starts& left_start, const Indices& left_index,
                const Starts& right_start, const Indices& right_index)
      : left(to_own_sets(left_start, left_index, to_length(rows, "rows"), "left")),
        right(to_own_sets(right_start, right_index, to_length(cols, "columns"), "right")),
        supports{rows, cols, left.view(), right.view()} {
    if (left.size() != right.size()) refuse("right", "differs from left in length");
    to_length(left.size(), "the inner length");
  }
  SupportArrays(const SupportArrays&) = delete;
  SupportArrays& operator=(const SupportArrays&) = delete;

  /// The values of X or Y: one per entry of the support.
  void check_values(const py::array& x, const py::array& y) const {
    const auto fits = [](const py::array& values, const IndexSets& sets) {
      return values.ndim() == 1 && static_cast<std::size_t>(values.size()) == sets.index.size() &&
             (values.flags() & py::array::c_style);
    };
    if (!fits(x, left) || !fits(y, right)) refuse("x, y", "must have one value per entry");
  }
};

/// (values with two axes, None, None) or (values with one axis, row starts, columns), and the
/// shape.
class MatrixArrays {
 public:
  MatrixArrays(const Supports& supports, const py::array& values, const py::object& start,
               const py::object& column, double scale)
      : values_(values) {
    matrix = {dtype_of(values, "A"),
              values.data(),
              supports.rows,
              supports.cols,
              0,
              0,
              nullptr,
              nullptr,
              scale};
    if (start.is_none()) {
      if (values.ndim() != 2 || values.shape(0) != matrix.rows || values.shape(1) != matrix.cols)
        refuse("A", "doesn't have the shape of the supports");
      matrix.row_stride = element_stride(values, 0, "A");
      matrix.col_stride = element_stride(values, 1, "A");
      return;
    }
    if (!py::isinstance<Starts>(start) || !py::isinstance<Indices>(column))
      throw py::type_error("A's row starts must be int64, its columns int32 arrays");
    start_ = start.cast<Starts>();
    column_ = column.cast<Indices>();
    if (to_sets(start_, column_, matrix.cols, "A").size != matrix.rows || values.ndim() != 1 ||
        values.size() != column_.size() || !(values.flags() & py::array::c_style))
      refuse("A", "doesn't have the shape of the supports");
    matrix.row_start = start_.data();
    // An empty matrix is sparse as well.
    matrix.column = column_.size() ? column_.data() : &nothing_;
  }

  RowMatrix matrix;

 private:
  py::array values_;
  Starts start_;
  Indices column_;
  std::int32_t nothing_ = 0;
};

class SupportClasses {
 public:
  SupportClasses(Index rows, Index cols, const Starts& left_start, const Indices& left,
                 const Starts& right_start, const Indices& right)
      : arrays_(rows, cols, left_start, left, right_start, right) {
    const WithoutLock released;
    analysis_ = std::make_unique<SupportAnalysis>(arrays_.supports);
  }

  py::tuple state() const {
    const Supports& s = arrays_.supports;
    return py::make_tuple(s.rows, s.cols, to_array(arrays_.left.start),
                          to_array(arrays_.left.index), to_array(arrays_.right.start),
                          to_array(arrays_.right.index));
  }

  const SupportAnalysis& analysis() const { return *analysis_; }

  py::tuple closedness(std::int32_t component, double effort, bool both) const {
    check_component(component);
    Closedness found;
    {
      const WithoutLock released;
      found = search().decide(component, effort, both);
    }
    return to_python(found);
  }

  py::tuple peel(std::int32_t component, double effort) const {
    check_component(component);
    PeeledComponent peeled;
    {
      const WithoutLock released;
      peeled = search().peel(component, effort);
    }
    return to_python(peeled);
  }

  double norm_outside(const py::array& values, const py::object& start, const py::object& column,
                      double scale) const {
    const MatrixArrays A(arrays_.supports, values, start, column, scale);
    const WithoutLock released;
    return papilio::norm_outside(A.matrix, *analysis_);
  }

  double solve_pieces(const py::array& values, const py::object& start, const py::object& column,
                      double scale, double ridge, py::array& x, py::array& y,
                      const py::object& progress) const {
    connect_lapack();
    const MatrixArrays A(arrays_.supports, values, start, column, scale);
    check_factors(A, x, y);
    void *to_x = x.mutable_data(), *to_y = y.mutable_data();
    const Progress tell = [&](double fraction) {
      const WithLock held;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!progress.is_none()) progress(fraction);
    };
    const WithoutLock released;
    return papilio::solve_pieces(A.matrix, arrays_.supports, *analysis_, ridge, to_x, to_y, tell);
  }

  double residual(const py::array& values, const py::object& start, const py::object& column,
                  double scale, const py::array& x, const py::array& y) const {
    const MatrixArrays A(arrays_.supports, values, start, column, scale);
    check_factors(A, x, y);
    const WithoutLock released;
    return papilio::residual(A.matrix, arrays_.supports, x.data(), y.data());
  }

  void fill_complete(const py::array& values, const py::object& start, const py::object& column,
                     double scale, py::array& x, py::array& y) const {
    const MatrixArrays A(arrays_.supports, values, start, column, scale);
    check_factors(A, x, y);
    void *to_x = x.mutable_data(), *to_y = y.mutable_data();
    const WithoutLock released;
    papilio::fill_complete(A.matrix, arrays_.supports, *analysis_, to_x, to_y);
  }

  py::array gather(const py::array& values, const py::object& start, const py::object& column,
                   double scale, const Starts& wanted_start, const Indices& wanted) const {
    const MatrixArrays A(arrays_.supports, values, start, column, scale);
    const IndexSetsView entries = to_sets(wanted_start, wanted, A.matrix.cols, "entries");
    if (entries.size != A.matrix.rows) refuse("entries", "must be listed for each row of A");
    const bool complex = holds_complex(A.matrix.dtype);
    py::array out(py::dtype(complex ? "complex128" : "float64"), wanted.size());
    void* to = out.mutable_data();
    const WithoutLock released;
    gather_entries(A.matrix, entries, to);
    return out;
  }

 private:
  void check_factors(const MatrixArrays& A, const py::array& x, const py::array& y) const {
    arrays_.check_values(x, y);
    if (dtype_of(x, "x") != A.matrix.dtype || dtype_of(y, "y") != A.matrix.dtype)
      throw py::type_error("x and y must have A's dtype");
  }

  void check_component(std::int32_t component) const {
    if (component < 0 || static_cast<std::size_t>(component) >= analysis_->kinds.size())
      refuse("component", "must be the number of one");
  }

  /// Made when it is first asked for, by one thread.
  const ClosednessSearch& search() const {
    std::call_once(once_, [&] { search_ = std::make_unique<ClosednessSearch>(*analysis_); });
    return *search_;
  }

  SupportArrays arrays_;
  std::unique_ptr<SupportAnalysis> analysis_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<ClosednessSearch> search_;
};

template <class T>
class AlternatingSolver {
 public:
  using Values = py::array_t<T, py::array::c_style>;

  AlternatingSolver(Index rows, Index cols, const Starts& left_start, const Indices& left,
                    const Starts& right_start, const Indices& right, const Starts& observed_start,
                    const Indices& observed, const Values& values)
      : arrays_(rows, cols, left_start, left, right_start, right) {
    const IndexSetsView entries = to_sets(observed_start, observed, cols, "observed");
    if (entries.size != rows || values.ndim() != 1 || values.size() != observed.size())
      refuse("observed", "must list columns for each row, and values one number for each");
    const WithoutLock released;
    solver_ = std::make_unique<Alternating<T>>(arrays_.supports, entries, values.data());
  }

  std::vector<double> sweep(Values& x, Values& y, Index sweeps, double ridge, double tolerance,
                            const py::object& progress) const {
    arrays_.check_values(x, y);
    T *to_x = x.mutable_data(), *to_y = y.mutable_data();
    const auto tell = [&] {
      const WithLock held;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!progress.is_none()) progress();
    };
    const WithoutLock released;
    return solver_->sweep(to_x, to_y, sweeps, ridge, tolerance, tell);
  }

  double gradient(const Values& x, const Values& y, double ridge, Values& gradient_x,
                  Values& gradient_y) const {
    arrays_.check_values(x, y);
    arrays_.check_values(gradient_x, gradient_y);
    T *to_x = gradient_x.mutable_data(), *to_y = gradient_y.mutable_data();
    const WithoutLock released;
    return solver_->gradient(x.data(), y.data(), ridge, to_x, to_y);
  }

  void deflate(const Starts& start, const Indices& index, bool by_mass, Values& x,
               Values& y) const {
    connect_lapack();
    const IndexSetsView classes = to_sets(start, index, arrays_.supports.inner(), "classes");
    for (Index p = 0; p < classes.size; ++p) {
      if (classes[p].size() == 0) refuse("classes", "must not be empty");
      if (arrays_.left[classes[p][0]].size() == 0 || arrays_.right[classes[p][0]].size() == 0)
        refuse("classes", "must have a rectangle that isn't empty");
      for (std::int32_t i : classes[p])
        if (!same_rectangle(classes[p][0], i)) refuse("classes", "must share a rectangle");
    }
    arrays_.check_values(x, y);
    T *to_x = x.mutable_data(), *to_y = y.mutable_data();
    const WithoutLock released;
    using Order = typename Alternating<T>::Order;
    solver_->deflate(classes, by_mass ? Order::mass : Order::exclusiveness, to_x, to_y);
  }

  double balance(Values& x, Values& y) const {
    arrays_.check_values(x, y);
    return solver_->balance(x.mutable_data(), y.mutable_data());
  }

 private:
  bool same_rectangle(Index i, Index j) const {
    const Supports& s = arrays_.supports;
    return s.left[i].size() == s.left[j].size() && s.right[i].size() == s.right[j].size();
  }

  SupportArrays arrays_;
  std::unique_ptr<Alternating<T>> solver_;
};

template <class T>
void register_alternating(py::module_& module, const char* name) {
  using Solver = AlternatingSolver<T>;
  // Results are written in place, so that nothing may be converted on the way.
  py::class_<Solver>(module, name)
      .def(py::init<Index, Index, const Starts&, const Indices&, const Starts&, const Indices&,
                    const Starts&, const Indices&, const typename Solver::Values&>())
      .def("sweep", &Solver::sweep, py::arg("x").noconvert(), py::arg("y").noconvert(),
           py::arg("sweeps"), py::arg("ridge"), py::arg("tolerance"), py::arg("progress"))
      .def("gradient", &Solver::gradient, py::arg("x").noconvert(), py::arg("y").noconvert(),
           py::arg("ridge"), py::arg("gradient_x").noconvert(), py::arg("gradient_y").noconvert())
      .def("deflate", &Solver::deflate, py::arg("start"), py::arg("index"), py::arg("by_mass"),
           py::arg("x").noconvert(), py::arg("y").noconvert())
      .def("balance", &Solver::balance, py::arg("x").noconvert(), py::arg("y").noconvert());
}

/// The supports of a chain with their memory.
struct ChainArrays {
  std::vector<IndexSets> sets;
  std::vector<FactorSupport> supports;

  ChainArrays(Index rows, const std::vector<std::tuple<Index, Starts, Indices>>& factors) {
    if (factors.empty()) refuse("factors", "must not be empty");
    Index height = to_length(rows, "rows");
    for (const auto& [cols, start, index] : factors) {
      sets.push_back(to_own_sets(start, index, to_length(cols, "columns"), "factors"));
      if (sets.back().size() != height) refuse("factors", "must fit each other");
      height = cols;
    }
    for (std::size_t n = 0; n < sets.size(); ++n)
      supports.push_back({std::get<0>(factors[n]), sets[n].view()});
  }
};

template <class T>
class ChainSolver {
 public:
  using Values = py::array_t<T, py::array::c_style>;

  ChainSolver(Index rows, const std::vector<std::tuple<Index, Starts, Indices>>& factors,
              const py::array& values, const py::object& start, const py::object& column,
              double scale)
      : matrix_(ends(rows, factors), values, start, column, scale) {
    const ChainArrays arrays(rows, factors);
    if (holds_complex(matrix_.matrix.dtype) != holds_complex(dtype_of(Values(0), "values")))
      throw py::type_error("A and the factors must both be real or both be complex");
    const WithoutLock released;
    solver_ = std::make_unique<SupportChain<T>>(matrix_.matrix, arrays.supports);
  }

  double unreached() const { return solver_->unreached(); }

  double squared_error(const Values& values) const {
    check(values);
    const T* from = values.data();
    const WithoutLock released;
    return solver_->squared_error(from);
  }

  double gradient(const Values& values, Values& gradient) const {
    check(values);
    check(gradient);
    const T* from = values.data();
    T* to = gradient.mutable_data();
    const WithoutLock released;
    return solver_->gradient(from, to);
  }

  void sweep(Values& values, Index steps) const {
    check(values);
    T* to = values.mutable_data();
    const WithoutLock released;
    solver_->sweep(to, steps);
  }

  double squared_norm(const Values& values) const {
    check(values);
    const T* from = values.data();
    const WithoutLock released;
    return solver_->squared_norm(from);
  }

  double growth(const Values& values) const {
    check(values);
    const T* from = values.data();
    const WithoutLock released;
    return solver_->growth(from);
  }

 private:
  static Supports ends(Index rows, const std::vector<std::tuple<Index, Starts, Indices>>& factors) {
    const IndexSetsView none{0, nullptr, nullptr};
    return {rows, factors.empty() ? 0 : std::get<0>(factors.back()), none, none};
  }

  void check(const Values& values) const {
    if (values.ndim() != 1 || values.size() != solver_->size())
      refuse("values", "must have one value per entry");
  }

  MatrixArrays matrix_;
  std::unique_ptr<SupportChain<T>> solver_;
};

template <class T>
void register_chain(py::module_& module, const char* name) {
  using Solver = ChainSolver<T>;
  py::class_<Solver>(module, name)
      .def(py::init<Index, const std::vector<std::tuple<Index, Starts, Indices>>&, const py::array&,
                    const py::object&, const py::object&, double>())
      .def("unreached", &Solver::unreached)
      .def("squared_error", &Solver::squared_error, py::arg("values").noconvert())
      .def("gradient", &Solver::gradient, py::arg("values").noconvert(),
           py::arg("gradient").noconvert())
      .def("sweep", &Solver::sweep, py::arg("values").noconvert(), py::arg("steps"))
      .def("squared_norm", &Solver::squared_norm, py::arg("values").noconvert())
      .def("growth", &Solver::growth, py::arg("values").noconvert());
}

/// A context manager.
struct SingleThreadedBlasHold {
  std::shared_ptr<void> held;
};

template <class Get>
auto array_of(Get get) {
  return [get](const SupportClasses& self) { return to_array(get(self.analysis())); };
}

template <class Get>
auto sets_of(Get get) {
  return [get](const SupportClasses& self) { return to_tuple(get(self.analysis())); };
}

}  // namespace

void register_fixed_support(py::module_& module) {
  using Analysis = SupportAnalysis;
  py::class_<SupportClasses>(module, "SupportClasses")
      .def(py::init<Index, Index, const Starts&, const Indices&, const Starts&, const Indices&>())
      .def(py::pickle([](const SupportClasses& self) { return self.state(); },
                      [](const py::tuple& state) {
                        if (state.size() != 6) throw py::value_error("state has a wrong length");
                        return std::make_unique<SupportClasses>(
                            state[0].cast<Index>(), state[1].cast<Index>(), state[2].cast<Starts>(),
                            state[3].cast<Indices>(), state[4].cast<Starts>(),
                            state[5].cast<Indices>());
                      }))
      .def("class_of", array_of([](const Analysis& a) { return a.class_of; }))
      .def("members", sets_of([](const Analysis& a) { return a.members; }))
      .def("complete", array_of([](const Analysis& a) { return a.complete; }))
      .def("component", array_of([](const Analysis& a) { return a.component; }))
      .def("kinds", array_of([](const Analysis& a) {
             std::vector<std::uint8_t> kinds;
             for (ComponentKind kind : a.kinds) kinds.push_back(static_cast<std::uint8_t>(kind));
             return kinds;
           }))
      .def("row_type", array_of([](const Analysis& a) { return a.row_type; }))
      .def("col_type", array_of([](const Analysis& a) { return a.col_type; }))
      .def("class_row_types", sets_of([](const Analysis& a) { return a.class_row_types; }))
      .def("class_col_types", sets_of([](const Analysis& a) { return a.class_col_types; }))
      .def("piece_class", array_of([](const Analysis& a) { return a.piece_class; }))
      .def("piece_rows", sets_of([](const Analysis& a) { return a.piece_rows; }))
      .def("piece_cols", sets_of([](const Analysis& a) { return a.piece_cols; }))
      .def("closedness", &SupportClasses::closedness)
      .def("peel", &SupportClasses::peel)
      .def("norm_outside", &SupportClasses::norm_outside)
      .def("solve_pieces", &SupportClasses::solve_pieces)
      .def("residual", &SupportClasses::residual)
      .def("fill_complete", &SupportClasses::fill_complete)
      .def("gather", &SupportClasses::gather);
  py::class_<SingleThreadedBlasHold>(module, "SingleThreadedBlas")
      .def(py::init<>())
      .def("__enter__", [](SingleThreadedBlasHold& self) { self.held = hold_blas_to_one_thread(); })
      .def("__exit__", [](SingleThreadedBlasHold& self, const py::args&) { self.held.reset(); });
  register_alternating<double>(module, "AlternatingReal");
  register_alternating<std::complex<double>>(module, "AlternatingComplex");
  register_chain<double>(module, "SupportChainReal");
  register_chain<std::complex<double>>(module, "SupportChainComplex");
}

}  // namespace papilio
