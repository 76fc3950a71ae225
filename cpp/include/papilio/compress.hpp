// What compression from entries is made of: many small interpolative decompositions at once, and
// entry functions behind plain pointers.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

#include "papilio/dtype.hpp"
#include "papilio/pattern.hpp"

namespace papilio {

/// `count` matrices of rows x cols, C-contiguous, one after the other.
struct Blocks {
  DType dtype;
  const void* values;
  Index count, rows, cols;
};

/// Row interpolative decompositions: block ~ weights * block[pivots, :], by Gram-Schmidt on the
/// rows with the largest remaining row as the next pivot, in double precision. rank <= rows.
/// pivots (count x rank), weights (count x rows x rank) in the blocks' type, the identity on the
/// pivots; residuals (count x rank+1): the squared Frobenius norm of the rows that are left after
/// 0, 1, ..., rank pivots, NaN or infinite if an entry is. Where nothing is left, the
/// first rows that aren't pivots become ones. `scales` is null, or has a number for each column of
/// each block (count x cols) that multiplies it for all of this: the square root of how many
/// columns it stands for. Squares of entries must neither overflow nor vanish. The same bits for
/// any number of threads. Allocates one block per thread.
void interpolate(const Blocks& blocks, const double* scales, Index rank, Index* pivots,
                 void* weights, double* residuals);

/// Writes the entries (i[a], j[b]) to out[a * cols + b].
typedef void (*EntryFunction)(Index rows, Index cols, const Index* i, const Index* j, void* out,
                              void* user_data);

/// Calls the function for `count` blocks on all threads: i is count x rows, j is count x cols, out
/// count x rows x cols elements of `element` bytes.
void evaluate(EntryFunction function, void* user_data, Index count, Index rows, Index cols,
              const Index* i, const Index* j, void* out, Index element);

/// A factor of a dense chainable chain, or of consecutive factors of one: values (a, b, c, d),
/// C-contiguous, and the ranks of the interfaces to its left and right (1 at the ends of the
/// chain), which divide b and c. With `rows`, its panels of `right` columns hold identities: rows
/// and values are as Identities and Factor of papilio/apply.hpp have them. Rows that aren't
/// permutations lead to wrong numbers, but not out of the arrays.
struct ChainFactor {
  const void* values;
  Index a, b, c, d;
  Index left, right;
  const std::uint16_t* rows = nullptr;
};

/// Entries (rows[p], columns[p]) of the product of factors of one dtype, to out: double or
/// std::complex<double>. All paths from a row to a column meet in r nodes of each interface
/// (docs/guarantees.md): a vector of that length goes from left to right. Of a part of a chain, it
/// goes from `start` (count x left, in the type of out; null: ones) to out (count x right). Uses
/// all threads. Memory: some megabytes.
void product_entries(DType dtype, const std::vector<ChainFactor>& factors, Index count,
                     const Index* rows, const Index* columns, const void* start, void* out);

/// Rows row, row + d, row + 2 d, ... (`rows` of them, d the first factor's: as long as they differ
/// in its blocks' rows only, the others are gone through once) of the product times x (columns of
/// the product x count, C-contiguous), to out (rows x count); both in the type that `kind` names,
/// as all arithmetic is: the factors are rounded to it, and sums run from term to term. Of a part
/// of a chain, from x (last a and c x count), which are the columns that the row meets, to out
/// (rows, and first a and left, x count). Uses all threads. Memory: twice x.
void product_rows(DType dtype, const std::vector<ChainFactor>& factors, Index row, Index rows,
                  DType kind, Index count, const void* x, void* out);

/// Takes a factor apart whose blocks are panels of `rank` columns, each with an identity in some of
/// its rows: see Identities of papilio/apply.hpp. `values` are C-contiguous; to rows (a, d, c /
/// rank, b) and weights (a, d, c / rank, b - rank, rank). False, with both undefined, if an
/// identity isn't whole. b is less than 2^16. Uses all threads.
bool split_identities(DType dtype, const Pattern& pattern, Index rank, const void* values,
                      std::uint16_t* rows, void* weights);

/// Writes what a factor's panels store of `count` interpolated blocks: weights (count, size, rank),
/// of type `kind`, whose rows `pivots` (count, rank) are those of an identity. Row n of a block is
/// row order[n] of its panel. Lines of `size` rows and of (size - rank) x rank weights, of type
/// `dtype`, are `rows_step` and `out_step` elements apart. Uses all threads.
void write_panels(DType kind, Index count, Index size, Index rank, const Index* pivots,
                  const void* weights, const Index* order, DType dtype, std::uint16_t* rows,
                  Index rows_step, void* out, Index out_step);

/// Whether each of `count` lines of `size` numbers is a permutation of 0..size - 1.
bool are_permutations(Index count, Index size, const std::uint16_t* rows);

/// out[n] = exp(2 pi i turns[n]), to a few units in the last place of the reduced angle; NaN for
/// what isn't finite. Uses all threads.
void wave(Index count, const double* turns, std::complex<double>* out);

}  // namespace papilio
