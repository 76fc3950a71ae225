"""Whether the products of two supports are a closed set: rules for tiny supports, by bit masks.

`is_closed` proves that they are, `is_open` that they aren't; neither decides all supports.
"""

import itertools


def bits(x):
    return [i for i in range(x.bit_length()) if x >> i & 1]


def pop(x):
    return bin(x).count("1")


def classes_of(SL, SR):  # row masks and column masks of the inner indices -> [(R, C, r)]
    d = {}
    for R, C in zip(SL, SR, strict=True):
        if R and C:
            d[R, C] = d.get((R, C), 0) + 1
    return tuple(sorted((R, C, min(r, pop(R), pop(C))) for (R, C), r in d.items()))


def matching(rows):  # {key: mask} -> term rank
    mate = {}

    def augment(i, seen):
        for j in bits(rows[i]):
            if j in seen:
                continue
            seen.add(j)
            if j not in mate or augment(mate[j], seen):
                mate[j] = i
                return True
        return False

    return sum(augment(i, set()) for i in rows)


def pieces(region):  # {row: mask} -> parts sharing neither rows nor columns
    left, out = set(region), []
    while left:
        i = left.pop()
        part, cols, grew = [i], region[i], True
        while grew:
            grew = False
            for k in list(left):
                if region[k] & cols:
                    left.discard(k)
                    part.append(k)
                    cols |= region[k]
                    grew = True
        out.append({k: region[k] for k in part})
    return out


def turn(region):
    out = {}
    for i, m in region.items():
        for j in bits(m):
            out[j] = out.get(j, 0) | 1 << i
    return out


def columns_of(region):
    C = 0
    for m in region.values():
        C |= m
    return C


def fills(F):  # T2 (b): F = [(region, r)]
    for i in set().union(*(set(g) for g, _ in F)):
        U, copies = 0, {}
        for g, _ in F:
            U |= g.get(i, 0)
        for n, (g, r) in enumerate(F):
            if i in g:
                for c in range(r):
                    copies[n, c] = columns_of(g) & U
        if matching(copies) < pop(U):
            return False
    return True


def is_closed(classes, subsets=4):  # True: proved closed
    T, regs = {}, [({i: C for i in bits(R)}, r) for R, C, r in classes]
    while True:
        new = []
        for g, r in regs:
            left = {i: m & ~T.get(i, 0) for i, m in g.items()}
            new += [(p, r) for p in pieces({i: m for i, m in left.items() if m})]
        regs = new
        if not regs:
            return True
        found = None
        for size in range(1, min(len(regs), subsets) + 1):
            for S in itertools.combinations(range(len(regs)), size):
                F = [regs[s] for s in S]
                if (
                    (size == 1 and matching(F[0][0]) <= F[0][1])
                    or fills(F)
                    or fills([(turn(g), r) for g, r in F])
                ):
                    found = S
                    break
            if found:
                break
        if found:
            for s in found:
                for i, m in regs[s][0].items():
                    T[i] = T.get(i, 0) | m
            regs = [x for s, x in enumerate(regs) if s not in found]
            continue
        box = [(frozenset(g), columns_of(g)) for g, _ in regs]
        out = None
        for n, (R, C) in enumerate(box):  # T3'
            if any(m != C for m in regs[n][0].values()):
                continue
            over = [(R2, C2) for k, (R2, C2) in enumerate(box) if k != n and R & R2 and C & C2]
            if all(R <= R2 and not C2 & ~C for R2, C2 in over) or all(
                R2 <= R and not C & ~C2 for R2, C2 in over
            ):
                out = n
                break
        if out is None:
            return nested_pair(regs)
        regs.pop(out)


def nested_pair(regs):  # T6'
    if len(regs) != 2:
        return False
    for (g1, r1), (g2, _) in (regs, regs[::-1]):
        C1, C2 = columns_of(g1), columns_of(g2)
        if (
            set(g2) <= set(g1)
            and not C2 & ~C1
            and all(m == C1 for m in g1.values())
            and all(m == C2 for m in g2.values())
        ):
            return len(g1) - len(g2) + pop(C1) - pop(C2) <= r1
    return False


def open_witness(classes, m, n):  # T5, T7: not None: proved not closed
    cover = [
        [
            sum(1 << k for k, (R, C, _) in enumerate(classes) if R >> i & 1 and C >> j & 1)
            for j in range(n)
        ]
        for i in range(m)
    ]
    groups = {c for row in cover for c in row} - {0}

    def box(G):
        R, C, r = (1 << m) - 1, (1 << n) - 1, 0
        for k in bits(G):
            R &= classes[k][0]
            C &= classes[k][1]
            r += classes[k][2]
        return R, C, r

    for G in groups:
        R, C, r = box(G)
        rows, cols = bits(R), bits(C)
        if min(len(rows), len(cols)) <= r:
            continue
        E = {i: sum(1 << j for j in cols if cover[i][j] == G) for i in rows}

        def grow(seq, r=r, E=E, rows=rows):
            if len(seq) == r + 1:
                return (
                    seq
                    if any(
                        not E[seq[s][0]] >> seq[t][1] & 1
                        for s in range(r + 1)
                        for t in range(s + 1, r + 1)
                    )
                    else None
                )
            for i in rows:
                if any(i == a or not E[i] >> j & 1 for a, j in seq):
                    continue
                for j in bits(E[i]):
                    if all(j != b for _, b in seq):
                        w = grow([*seq, (i, j)])
                        if w:
                            return w

        w = grow([])
        if w:
            return "triangular", bits(G), w
    for G1, G2 in itertools.combinations(groups, 2):
        if G1 & G2:
            continue
        (R1, C1, r1), (R2, C2, r2) = box(G1), box(G2)
        for t in (0, 1):
            base, length = (bits(R1 & R2), n) if not t else (bits(C1 & C2), m)
            at = (lambda i, j: cover[i][j]) if not t else (lambda i, j: cover[j][i])
            for size in range(max(r1, r2) + 1, min(len(base), r1 + r2) + 1):
                for I in itertools.combinations(base, size):
                    kinds = [{at(i, j) for i in I} for j in range(length)]
                    z1, z2 = min(r1, kinds.count({G1})), min(r2, kinds.count({G2}))
                    if (
                        z1
                        and z2
                        and kinds.count({G1 | G2}) >= r1 + r2 - z1 - z2 + 1
                        and size >= r1 + r2 + 1 - min(z1, z2)
                    ):
                        return "tangent", bits(G1), bits(G2), I, t


def is_open(classes, m, n, depth=3):  # with T9
    w = open_witness(classes, m, n)
    if w or depth == 0:
        return w
    for t in (0, 1):
        cl, mm, nn = (classes, m, n) if not t else (tuple((C, R, r) for R, C, r in classes), n, m)
        for a, (R, C, r) in enumerate(cl):
            for js in itertools.combinations(bits(C), r):
                I = sum(
                    1 << i
                    for i in range(mm)
                    if not any(
                        R2 >> i & 1 and C2 >> j & 1
                        for b, (R2, C2, _) in enumerate(cl)
                        if b != a
                        for j in js
                    )
                )
                for rows in itertools.combinations(bits(I & R), r):
                    rm, cm = (
                        I & ~sum(1 << i for i in rows),
                        (1 << nn) - 1 & ~sum(1 << j for j in js),
                    )
                    rest = {}
                    for b, (R2, C2, r2) in enumerate(cl):
                        if b != a and R2 & rm and C2 & cm:
                            rest[R2 & rm, C2 & cm] = rest.get((R2 & rm, C2 & cm), 0) + r2
                    rest = tuple((x, y, min(s, pop(x), pop(y))) for (x, y), s in rest.items())
                    if len(rest) > 1:
                        w = is_open(rest, mm, nn, depth - 1)
                        if w:
                            return "pin", (R, C, r), rows, js, t, w
