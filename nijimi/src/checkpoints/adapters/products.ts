/**
 * LoHa's and LoKr's products (LyCORIS, arXiv:2309.14859): an elementwise product of two low-rank matrices, and
 * a Kronecker product. Both may factor convolutions further, by a core tensor (Tucker decomposition).
 */
import { NijimiError } from "../../errors.ts";
import { toFloat32 } from "../../tensor/convert.ts";
import { sizeOf, tensor, type Tensor } from "../../tensor/tensor.ts";
import type { Entry } from "../checkpoint.ts";
import { matmul } from "./delta.ts";

/** Tensors of one module by their names in the file. */
export type Factors = Readonly<Record<string, Entry | undefined>>;

/** ΔW = (w1_a · w1_b) ∘ (w2_a · w2_b), with cores t1 and t2 for convolutions. */
export async function readHadamard(factors: Factors): Promise<Tensor<"float32">> {
  const first = await product(factors.hada_w1_a, factors.hada_w1_b, factors.hada_t1);
  const second = await product(factors.hada_w2_a, factors.hada_w2_b, factors.hada_t2);
  return tensor(
    "float32",
    first.shape,
    first.data.map((value, i) => value * second.data[i]),
  );
}

/** ΔW = w1 ⊗ w2, each a matrix or a product. */
export async function readKronecker(factors: Factors): Promise<Tensor<"float32">> {
  const first = await whole(factors, "lokr_w1");
  const second = await whole(factors, "lokr_w2", factors.lokr_t2);
  return kronecker(first, second);
}

/** The rank that alpha is divided by; undefined where both factors are whole, which need no scale. */
export function kroneckerRank({
  lokr_w1_b: first,
  lokr_w2_b: second,
}: Factors): number | undefined {
  return first?.shape[0] ?? second?.shape[0];
}

async function whole(factors: Factors, name: string, core?: Entry): Promise<Tensor<"float32">> {
  const given = factors[name];
  if (given) return float(given);
  return product(factors[`${name}_a`], factors[`${name}_b`], core);
}

async function float(entry: Entry): Promise<Tensor<"float32">> {
  return tensor("float32", entry.shape, toFloat32(await entry.read()));
}

/**
 * a · b; with a core t [i, j, …k] the sum Σ_ij a[i, p] t[i, j, …k] b[j, r] → [p, r, …k]. LoHa and LoKr both keep
 * a as [i, p] then.
 */
async function product(
  a: Entry | undefined,
  b: Entry | undefined,
  core: Entry | undefined,
): Promise<Tensor<"float32">> {
  if (!a || !b)
    throw new NijimiError("format", "An adapter lacks one of the two factors of a product.");
  const [left, right] = [await float(a), await float(b)];
  if (!core) {
    const [n, k] = left.shape;
    const m = sizeOf(right.shape.slice(1));
    return tensor("float32", [n, ...right.shape.slice(1)], matmul(left.data, right.data, n, k, m));
  }
  const [i, j, ...kernel] = core.shape;
  const taps = sizeOf(kernel);
  const [p, r] = [left.shape[1], right.shape[1]];
  const values = toFloat32(await core.read());
  const turned = Float32Array.from(
    { length: p * i },
    (_, n) => left.data[(n % i) * p + Math.floor(n / i)],
  );
  const result = new Float32Array(p * r * taps);
  for (let k = 0; k < taps; k++) {
    const slice = Float32Array.from({ length: i * j }, (_, n) => values[n * taps + k]);
    const tap = matmul(matmul(turned, slice, p, i, j), right.data, p, j, r);
    tap.forEach((value, n) => (result[n * taps + k] = value));
  }
  return tensor("float32", [p, r, ...kernel], result);
}

/** [a, b] ⊗ [c, d, …k] → [a·c, b·d, …k]. */
function kronecker(first: Tensor<"float32">, second: Tensor<"float32">): Tensor<"float32"> {
  const [a, b] = first.shape;
  const [c, d, ...kernel] = second.shape;
  const taps = sizeOf(kernel);
  const result = new Float32Array(a * b * c * d * taps);
  let at = 0;
  for (let row = 0; row < a * c; row++)
    for (let column = 0; column < b * d; column++) {
      const factor = first.data[Math.floor(row / c) * b + Math.floor(column / d)];
      const from = ((row % c) * d + (column % d)) * taps;
      for (let k = 0; k < taps; k++) result[at++] = factor * second.data[from + k];
    }
  return tensor("float32", [a * c, b * d, ...kernel], result);
}
