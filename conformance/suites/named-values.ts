/** Comparing computed numbers with a case's tensors by name. */
import { type Tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison } from "../case.ts";
import { compareNumbers, compareTensors } from "../compare.ts";

/** Compares `values` with the tensor of that name; nothing where the case has none. */
export type CompareNamed = (name: string, values: ArrayLike<number>) => Comparison[];

/** A comparer for a case. Values take the shape of what is expected. */
export function namedComparer(c: Case): CompareNamed {
  const tensors = c.tensors();
  return (name, values) => {
    const expected = tensors[name];
    if (!expected) return [];
    if (values.length !== expected.data.length)
      return [compareNumbers(name, values, toFloat64(expected), {})];
    const got: Tensor = {
      dtype: "float64",
      shape: expected.shape,
      data: Float64Array.from(values),
    };
    return [compareTensors(name, got, expected, c.json.tolerance)];
  };
}

/** The numbers of a tensor of the case. */
export function numbersOf(c: Case, name: string): Float64Array {
  const found = c.tensors()[name];
  if (!found) throw new Error(`the case has no tensor ${name}`);
  return toFloat64(found);
}

/** A tensor of the case as float32. */
export function float32Of(c: Case, name: string): Tensor<"float32"> {
  const { shape } = c.tensors()[name];
  return { dtype: "float32", shape, data: Float32Array.from(numbersOf(c, name)) };
}

/** A number of the case's configuration. */
export function configNumber(c: Case, name: string, fallback?: number): number {
  const value = c.json.config?.[name] ?? fallback;
  if (typeof value !== "number")
    throw new Error(`config.${name} should be a number; it is ${value}`);
  return value;
}
