/** Products with quantised weights against the float product: the errors stay within what rounding allows. */
import { describe, expect, it } from "vitest";
import { add, conv2d, matmul, parameter, transpose } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { type QuantizedForm, quantizeWeights } from "../graph/quantize-weights.ts";
import { simplify } from "../graph/simplify.ts";
import { type Graph, spec, trace } from "../graph/trace.ts";
import { cast } from "../tensor/convert.ts";
import {
  dequantizeBlocks,
  dequantizeChannels,
  dequantizeRows,
  quantizeBlocks,
  quantizeChannels,
  quantizeRows,
  type QuantizedTensor,
} from "../tensor/quantize.ts";
import { torchGenerator } from "../tensor/random/torch.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { emit } from "../onnx/emit.ts";
import { bytesOverflow } from "./bytes-overflow.ts";
import { compile } from "./compile.ts";
import { createSession } from "./session.ts";

type F32 = Tensor<"float32">;
const NAME = "layer.weight";
const BLOCKS = { bits: 4, blockSize: 32 } as const;

/** The forms of a weight: how it is quantised, and back. */
const FORMS = {
  rows: {
    form: { form: "rows" },
    quantize: quantizeRows,
    back: (q: QuantizedTensor, { shape }: F32) => dequantizeRows(q, shape),
  },
  channels: {
    form: { form: "channels" },
    quantize: quantizeChannels,
    back: (q: QuantizedTensor) => dequantizeChannels(q),
  },
  "blocks of 4 bits": {
    form: { form: "blocks", ...BLOCKS },
    quantize: (w: F32) => quantizeBlocks(w, BLOCKS),
    back: (q: QuantizedTensor, { shape }: F32) => dequantizeBlocks(q, BLOCKS, shape),
  },
  "blocks of 8 bits": {
    form: { form: "blocks", bits: 8, blockSize: 32 },
    quantize: (w: F32) => quantizeBlocks(w, { bits: 8, blockSize: 32 }),
    back: (q: QuantizedTensor, { shape }: F32) =>
      dequantizeBlocks(q, { bits: 8, blockSize: 32 }, shape),
  },
} as const satisfies Record<string, { form: QuantizedForm; quantize: unknown; back: unknown }>;

/** Runs `fn` with the weight as it is, with the quantised one, and with the numbers that the latter stands for. */
async function outputs(
  fn: (inputs: { readonly x: Sym }) => Sym,
  x: F32,
  weight: F32,
  bias: F32,
  { form, quantize, back }: (typeof FORMS)[keyof typeof FORMS],
  integers = true,
) {
  const quantized = quantize(weight);
  const specs = { x: spec("float32", x.shape) };
  const run = async (options: Parameters<typeof compile>[2]) => {
    const compiled = await compile(fn, specs, options);
    const { data } = (await compiled({ x })) as F32;
    await compiled.dispose();
    return data;
  };
  const plain = (value: F32) => run({ parameters: { [NAME]: value, bias } });
  return {
    quantized,
    float: await plain(weight),
    rounded: await plain(back(quantized, weight)),
    integer: await run({
      parameters: {
        [`${NAME}.values`]: quantized.values,
        [`${NAME}.scale`]: quantized.scale,
        bias,
      },
      rewrite: (graph) => quantizeWeights(graph, { [NAME]: form }, { integers }),
    }),
  };
}

/** One step of activations in 8 bits. Rounding of the zero point may cost another half at the ends of the range. */
function activationStep({ data }: F32): number {
  return (Math.max(0, ...data) - Math.min(0, ...data)) / 255;
}

function largestError(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

/** Largest sum of magnitudes of a row's weights. */
function largestRow({ shape, data }: F32): number {
  const row = data.length / shape[0];
  const sums = Array.from({ length: shape[0] }, (_, o) =>
    data.subarray(o * row, (o + 1) * row).reduce((sum, value) => sum + Math.abs(value), 0),
  );
  return Math.max(...sums);
}

const random = torchGenerator(1);
const linear = ({ x }: { readonly x: Sym }): Sym =>
  add(matmul(x, transpose(parameter(NAME, [24, 80]), [1, 0])), parameter("bias", [24]));

describe.each(Object.entries(FORMS))("a linear layer, weights as %s", (name, form) => {
  const x = random.randn([3, 5, 80]);
  const weight = random.randn([24, 80]);
  const bias = random.randn([24]);

  it("rounds each weight by at most half a step", () => {
    const quantized = form.quantize(weight);
    const back = form.back(quantized, weight);
    expect(largestError(back.data, weight.data)).toBeLessThan(
      Math.max(...quantized.scale.data) * 0.5001,
    );
  });

  it("is the product with the rounded weights, up to the rounding of activations", async () => {
    const { integer, rounded } = await outputs(linear, x, weight, bias, form);
    const bound = name === "channels" ? 0 : activationStep(x) * largestRow(weight);
    expect(largestError(integer, rounded)).toBeLessThan(bound + 1e-4);
  });

  it("computes with floats where integers are not wanted", async () => {
    const { integer, rounded } = await outputs(linear, x, weight, bias, form, false);
    // ONNX Runtime's optimiser makes a product of integers of this form all the same, on the CPU.
    const bound = name === "rows" ? activationStep(x) * largestRow(weight) : 0;
    expect(largestError(integer, rounded)).toBeLessThan(bound + 1e-4);
  });
});

describe.each([
  ["3×3", [16, 8, 3, 3], { padding: 1 }],
  ["3×3 with stride 2 and padding below only", [16, 8, 3, 3], { stride: 2, padding: [0, 0, 1, 1] }],
  ["3×2, dilated", [16, 8, 3, 2], { dilation: [1, 2] }],
  ["1×1", [16, 8, 1, 1], {}],
  ["3×3 in two groups", [16, 4, 3, 3], { groups: 2, padding: 1 }],
] as const)("a convolution %s", (name, shape, geometry) => {
  const x = random.randn([2, 8, 6, 7]);
  const weight = random.randn([...shape]);
  const bias = random.randn([16]);
  const convolution = ({ x: image }: { readonly x: Sym }): Sym =>
    conv2d(image, parameter(NAME, shape), parameter("bias", [16]), geometry);

  it.each(["rows", "channels"] as const)("weights as %s", async (form) => {
    const { integer, rounded } = await outputs(convolution, x, weight, bias, FORMS[form]);
    const isFloat = form === "channels" || name.endsWith("groups");
    const bound = isFloat ? 0 : activationStep(x) * largestRow(weight);
    expect(integer.length).toBe(rounded.length);
    expect(largestError(integer, rounded)).toBeLessThan(bound + 1e-4);
    expect(largestError(integer, rounded) > 1e-4).toBe(!isFloat);
  });
});

it("knows whether products of bytes overflow, and has a form that never does", async () => {
  const weight = float32([8, 64], new Float32Array(8 * 64).fill(2));
  const { values, scale } = quantizeRows(weight);
  const graph = trace(({ x }) => matmul(x, transpose(parameter(NAME, [8, 64]), [1, 0])), {
    x: spec("float32", [1, 64]),
  }).graph;
  const product = async (overflows: boolean) => {
    const bindings = { [`${NAME}.values`]: values, [`${NAME}.scale`]: scale };
    const quantized = simplify(quantizeWeights(graph, { [NAME]: { form: "rows" } }));
    const session = await createSession(emit(quantized, bindings, { bytesOverflow: overflows }));
    const { output } = await session.run({ x: float32([1, 64], new Float32Array(64).fill(1)) });
    await session.dispose();
    return Number(output.data[0]);
  };
  expect(await product(true)).toBeCloseTo(128, 3);
  expect(Math.abs((await product(false)) - 128) > 1e-3).toBe(await bytesOverflow(undefined));
});

it.each(["float16", "bfloat16"] as const)(
  "weights that stay %s are those numbers",
  async (dtype) => {
    const weight = cast(random.randn([16, 8, 3, 3]), dtype);
    const x = random.randn([1, 8, 5, 5]);
    const net = ({ x: image }: { readonly x: Sym }): Sym =>
      matmul(
        conv2d(image, parameter("conv", [16, 8, 3, 3])),
        transpose(parameter("matrix", [4, 3]), [1, 0]),
      );
    const matrix = cast(random.randn([4, 3]), dtype);
    const form = { form: "halves", dtype } as const;
    const results = await Promise.all(
      [undefined, (graph: Graph) => quantizeWeights(graph, { conv: form, matrix: form })].map(
        async (rewrite) => {
          const options = { parameters: { conv: weight, matrix }, rewrite };
          const run = await compile(net, { x: spec("float32", x.shape) }, options);
          const { data } = (await run({ x })) as F32;
          await run.dispose();
          return data;
        },
      ),
    );
    expect(largestError(results[0], results[1])).toBeLessThan(1e-4);
  },
);

it("serves every size from one session", async () => {
  const weight = random.randn([4, 3, 3, 3]);
  const { values, scale } = quantizeRows(weight);
  const run = await compile(
    ({ x }) => conv2d(x, parameter(NAME, [4, 3, 3, 3]), undefined, { padding: 1 }),
    { x: spec("float32", ["batch", 3, "height", "width"]) },
    {
      parameters: { [`${NAME}.values`]: values, [`${NAME}.scale`]: scale },
      rewrite: (graph) => quantizeWeights(graph, { [NAME]: { form: "rows" } }),
    },
  );
  // A constant picture: inside, every output is the sum of the kernel's weights.
  for (const [height, width] of [
    [4, 5],
    [6, 3],
  ] as const) {
    const ones = float32([1, 3, height, width], new Float32Array(3 * height * width).fill(1));
    const { data, shape } = (await run({ x: ones })) as F32;
    expect(shape).toEqual([1, 4, height, width]);
    const sum = dequantizeRows({ values, scale }, weight.shape)
      .data.subarray(0, 27)
      .reduce((total, value) => total + value, 0);
    expect(data[width + 1]).toBeCloseTo(sum, 4);
  }
  await run.dispose();
});
