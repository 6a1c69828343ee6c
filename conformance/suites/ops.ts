/**
 * Single operations against torch: forward, and gradients of Σ out·grad_out with respect to every input that the
 * case gives a `grad.*` for.
 */
import { NijimiError } from "nijimi";
import {
  add,
  attention,
  averagePool2d,
  concat,
  constant,
  conv1d,
  conv2d,
  convTranspose2d,
  chunk,
  div,
  elu,
  equal,
  gather,
  gelu,
  less,
  groupNorm,
  iota,
  layerNorm,
  logSoftmax,
  matmul,
  maxPool2d,
  mish,
  mul,
  neg,
  pad,
  quickGelu,
  relu,
  reshape,
  rmsNorm,
  sigmoid,
  silu,
  slice,
  softmax,
  softplus,
  spec,
  stopGradient,
  sum,
  type Sym,
  swapAxes,
  tanh,
  transpose,
  unsqueeze,
  vectorJacobianProduct,
  where,
} from "nijimi/graph";
import {
  batchNorm,
  interpolate,
  pixelShuffle,
  recordScope,
  timestepEmbedding,
  unfoldPatches,
} from "nijimi/nn";
import { compile, type Device } from "nijimi/runtime";
import { pixelUnshuffle } from "nijimi/models";
import { float32, int64, type Tensor } from "nijimi/tensor";
import type { Case, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";

type Inputs = Readonly<Record<string, Sym>>;
type Config = Readonly<Record<string, unknown>>;
type Operation = (inputs: Inputs, config: Config) => Sym;

const number = (value: unknown, fallback: number): number =>
  value === undefined || value === null ? fallback : Number(value);
const pairOf = (value: unknown, fallback: number): number | [number, number] =>
  Array.isArray(value) ? (value as [number, number]) : number(value, fallback);

/** torch's geometry arguments as options. */
const geometry = (config: Config) => ({
  stride: pairOf(config["stride"], 1),
  padding: pairOf(config["padding"], 0),
  dilation: pairOf(config["dilation"], 1),
  groups: number(config["groups"], 1),
});

const unary =
  (fn: (x: Sym) => Sym): Operation =>
  ({ x }) =>
    fn(x);

function linear({ x, weight, bias }: Inputs): Sym {
  if (x.shape.length === 1)
    return reshape(linear({ x: unsqueeze(x, 0), weight, bias }), [weight.shape[0]]);
  const y = matmul(x, transpose(weight, [1, 0]));
  return bias === undefined ? y : add(y, bias);
}

/** F.cross_entropy over class indices [N, …] for logits [N, C, …]; labels of `ignore_index` count nothing. */
function crossEntropy({ x, labels, weight }: Inputs, config: Config, outputs: number): Sym {
  const smoothing = number(config["label_smoothing"], 0);
  const classes = x.shape[1] as number;
  const column = x.shape.map((_, axis) => (axis === 1 ? classes : 1));
  const logp = logSoftmax(x, 1);
  const hit = equal(unsqueeze(labels, 1), reshape(iota(classes), column));
  const target = where(hit, 1 - smoothing + smoothing / classes, smoothing / classes);
  const weights = weight === undefined ? undefined : reshape(weight, column);
  const counts = where(
    equal(labels, constant(int64([], [number(config["ignore_index"], -100)]))),
    zerosLike(labels),
    onesLike(labels),
  );
  const weighted = weights === undefined ? target : mul(target, weights);
  const loss = mul(neg(sum(mul(logp, weighted), { axes: [1] })), counts);
  const reduction = config["reduction"] ?? (outputs === 1 && sizeOf(loss) !== 1 ? "mean" : "none");
  if (reduction === "none") return loss;
  if (reduction === "sum") return reshape(sum(loss), [1]);
  const shares =
    weights === undefined
      ? counts
      : mul(counts, sum(mul(where(hit, onesLike(x), zerosLike(x)), weights), { axes: [1] }));
  return reshape(div(sum(loss), sum(shares)), [1]);
}

const sizeOf = ({ shape }: Sym): number =>
  (shape as number[]).reduce((product, dim) => product * dim, 1);
const filled = (like: Sym, value: number): Sym =>
  constant(float32(like.shape as number[], new Float32Array(sizeOf(like)).fill(value)));
const onesLike = (like: Sym): Sym => filled(like, 1);
const zerosLike = (like: Sym): Sym => filled(like, 0);

/** F.softplus: log(1 + e^βx)/β, and x itself where βx is above the threshold. */
const softplusOf: Operation = ({ x }, config) => {
  const beta = number(config["beta"], 1);
  const inner = mul(x, beta);
  const large = less(filled(x, number(config["threshold"], 20)), inner);
  return where(large, x, div(softplus(where(large, zerosLike(x), inner)), beta));
};

/** Padding [top, left, bottom, right] of a pool; `ceil_mode` lets the last window hang over. */
function poolPadding(x: Sym, config: Config): [number, number, number, number] {
  const pair = (value: number | [number, number]): [number, number] =>
    typeof value === "number" ? [value, value] : value;
  const kernel = pair(pairOf(config["kernel"], 2));
  const stride = pair(pairOf(config["stride"] ?? config["kernel"], 2));
  const before = pair(pairOf(config["padding"], 0));
  const after = before.map((padding, i) => {
    if (config["ceil_mode"] !== true) return padding;
    const rest = (x.shape[2 + i] as number) + 2 * padding - kernel[i];
    return padding + ((stride[i] - (rest % stride[i])) % stride[i]);
  });
  return [before[0], before[1], after[0], after[1]];
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  "torch.nn.functional.conv2d": ({ x, weight, bias }, config) =>
    conv2d(x, weight, bias, geometry(config)),
  "torch.nn.functional.conv1d": ({ x, weight, bias }, config) =>
    conv1d(x, weight, bias, {
      stride: number(config["stride"], 1),
      padding: number(config["padding"], 0),
      dilation: number(config["dilation"], 1),
      groups: number(config["groups"], 1),
    }),
  "torch.nn.functional.conv_transpose2d": ({ x, weight, bias }, config) =>
    convTranspose2d(x, weight, bias, {
      ...geometry(config),
      outputPadding: pairOf(config["output_padding"], 0),
    }),
  "F.pad(0,1,0,1) + F.conv2d": ({ x, weight, bias }, config) => {
    const [left, right, top, bottom] = (config["pad"] ?? [0, 1, 0, 1]) as number[];
    return conv2d(x, weight, bias, {
      stride: pairOf(config["stride"], 2),
      padding: [top, left, bottom, right],
    });
  },
  "torch.nn.functional.group_norm": ({ x, weight, bias }, config) =>
    groupNorm(x, number(config["groups"], 1), weight, bias, { eps: number(config["eps"], 1e-5) }),
  "torch.nn.functional.layer_norm": ({ x, weight, bias }, config) =>
    layerNorm(x, weight, bias, { eps: number(config["eps"], 1e-5) }),
  "x*rsqrt(mean(x^2)+eps)*w": ({ x, weight }, config) =>
    rmsNorm(x, weight, { eps: number(config["eps"], 1e-6) }),
  "torch.nn.functional.batch_norm(training=False)": (inputs, config) =>
    batchNorm(inputs["x"].shape[1] as number, { eps: number(config["eps"], 1e-5) }).apply(
      recordScope(inputs),
      "",
      inputs["x"],
    ),
  silu: unary(silu),
  gelu_erf: unary((x) => gelu(x)),
  gelu_tanh: unary((x) => gelu(x, "tanh")),
  quick_gelu: unary(quickGelu),
  sigmoid: unary(sigmoid),
  tanh: unary(tanh),
  relu: unary(relu),
  elu: ({ x }, config) => elu(x, number(config["alpha"], 1)),
  softplus: softplusOf,
  mish: unary(mish),
  "diffusers GEGLU": (inputs) => {
    const [value, gate] = chunk(linear(inputs), -1, 2);
    return mul(value, gelu(gate));
  },
  "F.linear": linear,
  "F.softmax": ({ x }, config) => softmax(x, number(config["dim"], -1)),
  "F.log_softmax": ({ x }, config) => logSoftmax(x, number(config["dim"], -1)),
  "F.scaled_dot_product_attention": ({ q, k, v, mask }, config) =>
    attention(q, k, v, {
      mask,
      causal: config["is_causal"] === true,
      ...(config["scale"] === undefined || config["scale"] === null
        ? {}
        : { scale: Number(config["scale"]) }),
    }),
  "torch.nn.functional.interpolate": ({ x }, config) => {
    const size = config["size"] as number | [number, number] | undefined | null;
    const factor = config["scale_factor"] as number | [number, number] | undefined | null;
    return interpolate(x, {
      ...(size === undefined || size === null
        ? { scaleFactor: factor as number }
        : { size: typeof size === "number" ? [size, size] : size }),
      mode: (config["mode"] ?? "nearest") as "nearest",
      alignCorners: config["align_corners"] === true,
      antialias: config["antialias"] === true,
    });
  },
  "F.avg_pool2d": ({ x }, config) => {
    const kernel = pairOf(config["kernel"], 2);
    return averagePool2d(x, kernel, {
      stride:
        config["stride"] === undefined || config["stride"] === null
          ? kernel
          : pairOf(config["stride"], 1),
      padding: poolPadding(x, config),
      // What hangs over in ceil_mode is not counted; cases have it without other padding.
      countIncludePad: config["count_include_pad"] !== false && config["ceil_mode"] !== true,
    });
  },
  "F.max_pool2d": ({ x }, config) => {
    const kernel = pairOf(config["kernel"], 2);
    return maxPool2d(x, kernel, {
      stride:
        config["stride"] === undefined || config["stride"] === null
          ? kernel
          : pairOf(config["stride"], 1),
      padding: poolPadding(x, config),
    });
  },
  "F.pixel_unshuffle": ({ x }, config) => pixelUnshuffle(x, number(config["r"], 2)),
  "F.pixel_shuffle": ({ x }, config) => pixelShuffle(x, number(config["r"], 2)),
  "F.unfold": ({ x }, config) => unfold(x, config),
  "F.embedding": ({ weight, ids }, config) => gather(withFixedRow(weight, config), ids, 0),
  "einsum bij,bkj->bik": ({ a, b }) => matmul(a, swapAxes(b, 1, 2)),
  "diffusers.models.embeddings.get_timestep_embedding": ({ t }, config) =>
    timestepEmbedding(t, number(config["embedding_dim"], 0), {
      flipSinToCos: config["flip_sin_to_cos"] === true,
      downscaleFreqShift: number(config["downscale_freq_shift"], 1),
      scale: number(config["scale"], 1),
      maxPeriod: number(config["max_period"], 10000),
    }),
};

/** F.unfold: windows, overlapping or not, as columns. */
function unfold(x: Sym, config: Config): Sym {
  const [kernel, stride, dilation, padding] = ["kernel", "stride", "dilation", "padding"].map(
    (name) => number(config[name], name === "padding" ? 0 : 1),
  );
  if (stride === kernel && dilation === 1 && padding === 0) return unfoldPatches(x, kernel);
  const padded = pad(x, [0, 0, padding, padding], [0, 0, padding, padding]);
  const [n, c, h, w] = padded.shape as number[];
  const reach = dilation * (kernel - 1) + 1;
  const [rows, columns] = [h, w].map((size) => Math.floor((size - reach) / stride) + 1);
  const views = Array.from({ length: kernel * kernel }, (_, i) => {
    const [top, left] = [Math.floor(i / kernel) * dilation, (i % kernel) * dilation];
    const band = slice(padded, 2, top, top + (rows - 1) * stride + 1, stride);
    return reshape(slice(band, 3, left, left + (columns - 1) * stride + 1, stride), [
      n,
      c,
      1,
      rows * columns,
    ]);
  });
  return reshape(concat(views, 2), [n, c * kernel * kernel, rows * columns]);
}

/** The row of `padding_idx` gets no gradient. */
function withFixedRow(weight: Sym, config: Config): Sym {
  if (config["padding_idx"] === undefined || config["padding_idx"] === null) return weight;
  const rows = weight.shape[0] as number;
  const row = constant(int64([1], [(number(config["padding_idx"], 0) + rows) % rows]));
  const fixed = equal(reshape(iota(rows), [rows, 1]), row);
  return where(fixed, stopGradient(weight), weight);
}

function operationOf(c: Case): Operation | undefined {
  const name = c.json.function ?? "";
  if (name === "F.cross_entropy")
    return (inputs, config) => crossEntropy(inputs, config, c.json.tensors?.["out"]?.shape[0] ?? 1);
  // Cases with huge logits state the factors of q and k in the description alone.
  const factors = /\bq\*([\d.]+), k\*([\d.]+)/.exec(String(c.json["description"] ?? ""));
  if (name === "F.scaled_dot_product_attention" && factors !== null)
    return (inputs, config) =>
      OPERATIONS[name](
        {
          ...inputs,
          q: mul(inputs["q"], Number(factors[1])),
          k: mul(inputs["k"], Number(factors[2])),
        },
        config,
      );
  return Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
}

export const suite: Suite = {
  kind: "ops",
  accepts: (c) => c.json.section === "ops" && operationOf(c) !== undefined,
  async run(c, { device }) {
    const operation = operationOf(c);
    if (operation === undefined) throw new NijimiError("internal", "ops: no operation");
    const tensors = c.tensors();
    const named = (prefix: string): Record<string, Tensor> =>
      Object.fromEntries(
        Object.entries(tensors).flatMap(([key, value]) =>
          key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [],
        ),
      );
    const inputs = named("in.");
    const wanted = Object.keys(named("grad."));
    const specs = Object.fromEntries(
      Object.entries(inputs).map(([key, { dtype, shape }]) => [key, spec(dtype, shape)]),
    );
    const run = await compile(
      (given: Record<string, Sym>) => {
        const out = operation(given, c.json.config ?? {});
        const gradients =
          wanted.length === 0
            ? []
            : vectorJacobianProduct(
                [out],
                [given["grad_out"]],
                wanted.map((key) => given[key]),
              );
        return { out, grad: Object.fromEntries(wanted.map((key, i) => [key, gradients[i]])) };
      },
      specs,
      { device: device as Device },
    );
    try {
      const { out, grad } = (await run(inputs)) as unknown as {
        out: Tensor;
        grad: Record<string, Tensor>;
      };
      return [
        compareTensors("out", out, tensors["out"], c.json.tolerance),
        ...wanted.map((key) =>
          compareTensors(`grad.${key}`, grad[key], tensors[`grad.${key}`], c.json.tolerance),
        ),
      ];
    } finally {
      await run.dispose();
    }
  },
};
