#include <cstring>
#include <mutex>

#include "bindings.hpp"
#include "closedness.hpp"
#include "support_arrays.hpp"

namespace papilio {

namespace {

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
  register_support_solvers(module);
}

}  // namespace papilio
