/**
 * Dimensions of symbolic shapes: whole numbers, or polynomials over named sizes and floor divisions.
 *
 * A dimension is kept in a canonical form, so that two dimensions are known to be equal exactly when their
 * keys are: `2·floor((height+1)/2)` and `height` are different, `(8·h+1)` floor-divided by 2 is `4·h`.
 */
import { NijimiError } from "../errors.ts";

/** A dimension: a number when known, else an expression over symbols such as `batch`. */
export type Dim = number | DimExpression;

/** A symbolic shape. */
export type Shape = readonly Dim[];

/** What an expression is made of: a named size or the floor of another expression over a number. */
export type DimAtom =
  | { readonly kind: "symbol"; readonly name: string }
  | { readonly kind: "floor"; readonly dividend: DimExpression; readonly divisor: number };

/** `coefficient · Π atoms`. */
export interface DimTerm {
  readonly coefficient: number;
  readonly atoms: readonly DimAtom[];
}

/** A sum of terms in canonical order; `key` identifies it. */
export interface DimExpression {
  readonly terms: readonly DimTerm[];
  readonly key: string;
}

/** The named dimension `name`, e.g. `symbol("batch")`. */
export function symbol(name: string): DimExpression {
  if (!/^[A-Za-z_]\w*$/.test(name))
    throw new NijimiError(
      "option",
      `A dimension's name must be an identifier; got ${JSON.stringify(name)}.`,
    );
  return expression([{ coefficient: 1, atoms: [{ kind: "symbol", name }] }]) as DimExpression;
}

/** Printable identity of a dimension: equal keys mean equal dimensions. */
export function dimKey(dim: Dim): string {
  return typeof dim === "number" ? String(dim) : dim.key;
}

/** True when both are known to be the same size. */
export function sameDim(a: Dim, b: Dim): boolean {
  return dimKey(a) === dimKey(b);
}

/** True when both shapes are known to be the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => sameDim(dim, b[i]));
}

/** `[2, batch, 3]`. */
export function showShape(shape: Shape): string {
  return `[${shape.map(dimKey).join(", ")}]`;
}

export function isStatic(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === "number");
}

/** The shape as numbers. @throws NijimiError `shape` naming `what` when a dimension is symbolic */
export function staticShape(shape: Shape, what: string): readonly number[] {
  if (!isStatic(shape))
    throw new NijimiError("shape", `${what} needs fixed dimensions; got ${showShape(shape)}.`);
  return shape;
}

export function addDims(...dims: readonly Dim[]): Dim {
  return expression(dims.flatMap(termsOf));
}

export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims(a, multiplyDims(-1, b));
}

export function multiplyDims(...dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>(
    (product, dim) =>
      typeof product === "number" && typeof dim === "number"
        ? product * dim
        : expression(
            termsOf(product).flatMap((a) =>
              termsOf(dim).map((b) => ({
                coefficient: a.coefficient * b.coefficient,
                atoms: [...a.atoms, ...b.atoms],
              })),
            ),
          ),
    1,
  );
}

/** Product of all dimensions; 1 for a scalar. */
export function sizeOfShape(shape: Shape): Dim {
  return multiplyDims(...shape);
}

/** floor(a / divisor); terms divisible by the divisor leave the floor. */
export function floorDivideDim(a: Dim, divisor: number): Dim {
  if (typeof a === "number") return Math.floor(a / divisor);
  if (divisor === 1) return a;
  const outside: DimTerm[] = [];
  const inside: DimTerm[] = [];
  for (const term of a.terms) {
    const whole =
      term.atoms.length === 0 ? Math.floor(term.coefficient / divisor) : term.coefficient / divisor;
    if (Number.isInteger(whole) && whole !== 0) outside.push({ ...term, coefficient: whole });
    const rest = term.coefficient - (Number.isInteger(whole) ? whole * divisor : 0);
    if (rest !== 0) inside.push({ ...term, coefficient: rest });
  }
  const dividend = expression(inside);
  if (typeof dividend === "number")
    return expression(outside.concat(termsOf(Math.floor(dividend / divisor))));
  return expression([
    ...outside,
    { coefficient: 1, atoms: [{ kind: "floor", dividend, divisor }] },
  ]);
}

/** a / b where b divides a exactly as a product of the same factors; undefined otherwise. */
export function divideExactly(a: Dim, b: Dim): Dim | undefined {
  if (typeof a === "number" && typeof b === "number") return a % b === 0 ? a / b : undefined;
  const [divisor, ...more] = termsOf(b);
  if (divisor === undefined || more.length > 0) return undefined;
  const quotient: DimTerm[] = [];
  for (const term of termsOf(a)) {
    if (term.coefficient % divisor.coefficient !== 0) return undefined;
    const left = [...term.atoms];
    for (const atom of divisor.atoms) {
      const at = left.findIndex((candidate) => atomKey(candidate) === atomKey(atom));
      if (at < 0) return undefined;
      left.splice(at, 1);
    }
    quotient.push({ coefficient: term.coefficient / divisor.coefficient, atoms: left });
  }
  return expression(quotient);
}

/** The value of a dimension when every symbol has one. */
export function evaluateDim(dim: Dim, sizes: Readonly<Record<string, number>>): number {
  return termsOf(dim).reduce((sum, { coefficient, atoms }) => {
    const product = atoms.reduce((value, atom) => {
      if (atom.kind === "floor")
        return value * Math.floor(evaluateDim(atom.dividend, sizes) / atom.divisor);
      const size = sizes[atom.name];
      if (size === undefined)
        throw new NijimiError("shape", `Dimension "${atom.name}" has no size here.`);
      return value * size;
    }, coefficient);
    return sum + product;
  }, 0);
}

/** The terms of a dimension; a number is one term without atoms (none when 0). */
export function termsOf(dim: Dim): readonly DimTerm[] {
  if (typeof dim !== "number") return dim.terms;
  return dim === 0 ? [] : [{ coefficient: dim, atoms: [] }];
}

function atomKey(atom: DimAtom): string {
  return atom.kind === "symbol" ? atom.name : `floor((${atom.dividend.key})/${atom.divisor})`;
}

function expression(terms: readonly DimTerm[]): Dim {
  const merged = new Map<string, DimTerm>();
  for (const term of terms) {
    const atoms = [...term.atoms].sort((a, b) => (atomKey(a) < atomKey(b) ? -1 : 1));
    const key = atoms.map(atomKey).join("*");
    const coefficient = (merged.get(key)?.coefficient ?? 0) + term.coefficient;
    merged.set(key, { coefficient, atoms });
  }
  const kept = [...merged]
    .filter(([, term]) => term.coefficient !== 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (kept.length === 0) return 0;
  if (kept.length === 1 && kept[0][0] === "") return kept[0][1].coefficient;
  const key = kept
    .map(([name, { coefficient }]) =>
      name === "" ? `${coefficient}` : coefficient === 1 ? name : `${coefficient}*${name}`,
    )
    .join("+");
  return { terms: kept.map(([, term]) => term), key };
}
