/** Running a layer of `nijimi/models` on a case's weights and inputs, forward and gradient. */
import { gradients, mul, spec, sum, type Sym } from "nijimi/graph";
import { constantInit, parameterScope, type Scope } from "nijimi/nn";
import { compile, type Device } from "nijimi/runtime";
import { cast, type Tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison } from "../case.ts";
import { compareTensors } from "../compare.ts";

/** The tensors of a case below a prefix, which is cut off. */
export function below(
  tensors: Readonly<Record<string, Tensor>>,
  prefix: string,
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
    ),
  );
}

/** What to run. */
export interface LayerRun {
  readonly device: string;
  /** Weights under the names that `forward` asks its scope for. @default the case's `w.*` */
  readonly weights?: Readonly<Record<string, Tensor>>;
  /** Inputs by name. @default the case's `in.*` */
  readonly inputs?: Readonly<Record<string, Tensor>>;
  /** From inputs to outputs by the names after `out.`. */
  readonly forward: (
    inputs: Readonly<Record<string, Sym>>,
    scope: Scope,
  ) => Readonly<Record<string, Sym>>;
  /** The output that `in.grad_out` belongs to. @default the only output */
  readonly gradientOf?: string;
}

/**
 * Compiles a forward with the case's weights and compares every `out.*`, then every `grad.*`: with respect to
 * inputs by their name, to weights as `grad.w.*`, of Σ out·in.grad_out.
 */
export async function runLayer(
  c: Case,
  { device, weights, inputs, forward, gradientOf }: LayerRun,
): Promise<Comparison[]> {
  const tensors = c.tensors();
  const parameters = weights ?? below(tensors, "w.");
  const given = inputs ?? below(tensors, "in.");
  const wanted = Object.keys(below(tensors, "grad."));
  const specs = Object.fromEntries(
    Object.entries(given).map(([name, { dtype, shape }]) => [name, spec(dtype, shape)]),
  );
  const run = await compile(
    (symbols: Record<string, Sym>) => {
      const scope = parameterScope();
      const out = forward(symbols, scope);
      if (wanted.length === 0 || symbols["grad_out"] === undefined) return { out, grad: {} };
      const output = out[gradientOf ?? Object.keys(out)[0]];
      const targets = wanted.map((name) =>
        name.startsWith("w.")
          ? scope.parameter(name.slice(2), {
              shape: parameters[name.slice(2)].shape,
              init: constantInit(0),
            })
          : symbols[name],
      );
      const loss = sum(mul(output, symbols["grad_out"]));
      const found = gradients(loss, targets);
      return { out, grad: Object.fromEntries(wanted.map((name, i) => [name, found[i]])) };
    },
    specs,
    { device: device as Device, parameters },
  );
  try {
    const results = (await run(given)) as unknown as {
      out: Record<string, Tensor>;
      grad: Record<string, Tensor>;
    };
    const expected = below(tensors, "out.");
    const largest = Math.max(...Object.values(below(tensors, "grad.")).map(largestOf));
    return [
      ...Object.keys(expected).map((name) =>
        results.out[name] === undefined
          ? { name: `out.${name}`, error: Infinity, passed: false, message: "not computed" }
          : compareTensors(
              `out.${name}`,
              sameType(results.out[name], expected[name]),
              expected[name],
              c.json.tolerance,
            ),
      ),
      ...Object.keys(results.grad).map((name) =>
        compareGradient(
          `grad.${name}`,
          results.grad[name],
          tensors[`grad.${name}`],
          c.json.tolerance,
          largest,
        ),
      ),
    ];
  } finally {
    await run.dispose();
  }
}

/**
 * A gradient that is zero in exact arithmetic (a key's bias under softmax) holds only the reference's own rounding
 * noise, which a tolerance relative to itself would ask to reproduce. Below 1e-5 of the case's largest gradient,
 * float32's noise of that largest one (1e-6 of it) is the tolerance.
 */
export function compareGradient(
  name: string,
  got: Tensor,
  expected: Tensor,
  tolerance: unknown,
  largest: number,
): Comparison {
  const isNoise = largestOf(expected) < 1e-5 * largest;
  return compareTensors(name, got, expected, isNoise ? { atol: 1e-6 * largest } : tolerance);
}

/** max|x| of a tensor. */
export function largestOf(tensor: Tensor): number {
  return toFloat64(tensor).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** The result in the reference's dtype; a scalar counts as a tensor of one element. */
function sameType(got: Tensor, expected: Tensor): Tensor {
  if (got.shape.length === 0 && expected.shape.length === 1 && expected.shape[0] === 1)
    return sameType({ ...got, shape: [1] }, expected);
  return got.dtype === expected.dtype ? got : cast(got, expected.dtype);
}
