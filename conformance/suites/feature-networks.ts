/** Networks that figures stand on: the FID Inception and its blocks and resizing, and LPIPS. */
import { cast, mul, resize, slice, spec, type Sym } from "nijimi/graph";
import {
  INCEPTION_SIZE,
  type InceptionFeature,
  inceptionBlock,
  inceptionInput,
  inceptionKey,
  type InceptionKind,
  inceptionV3,
  inceptionV3Config,
  lpips,
  type LpipsNet,
} from "nijimi/models";
import { interpolate, parameterScope } from "nijimi/nn";
import { compile, type Device } from "nijimi/runtime";
import type { Tensor } from "nijimi/tensor";
import type { Case, Comparison, RunContext, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";
import { formulaWeights } from "./formula-weights.ts";
import { below } from "./run-layer.ts";

type Outputs = Readonly<Record<string, Sym>>;

/** A forward from the case's inputs to its outputs, with weights. */
interface Run {
  readonly parameters: Readonly<Record<string, Tensor>>;
  forward(inputs: Readonly<Record<string, Sym>>): Outputs;
}

const RUNS: readonly [RegExp, (c: Case) => Run][] = [
  [/^pytorch_fid\.inception\.FIDInception[A-E](_\d)?\.forward$/, block],
  [/^pytorch_fid\.inception\.InceptionV3$/, pytorchFid],
  [/interpolate_bilinear_2d_like_tensorflow1x$/, resizing],
  [/^torch_fidelity\.FeatureExtractorInceptionV3$/, torchFidelity],
  [/^lpips\.LPIPS$/, perceptual],
];

export const suite: Suite = {
  kind: "feature-networks",
  accepts: ({ json }) => RUNS.some(([pattern]) => pattern.test(json.function ?? "")),
  run: async (c, context) => {
    const [, build] = RUNS.find(([pattern]) => pattern.test(c.json.function ?? ""))!;
    return compareRun(c, build(c), context);
  },
};

async function compareRun(
  c: Case,
  { parameters, forward }: Run,
  { device }: RunContext,
): Promise<Comparison[]> {
  const tensors = c.tensors();
  const given = below(tensors, "in.");
  const specs = Object.fromEntries(
    Object.entries(given).map(([name, { dtype, shape }]) => [name, spec(dtype, shape)]),
  );
  const run = await compile(forward, specs, { device: device as Device, parameters });
  try {
    const results = (await run(given)) as Readonly<Record<string, Tensor>>;
    return Object.entries(tensors)
      .filter(([name]) => /^out(\.|$)/.test(name))
      .map(([name, expected]) => {
        const got = results[name.replace(/^out\.?/, "") || "out"];
        return got === undefined
          ? { name, error: Infinity, passed: false, message: "not computed" }
          : compareTensors(name, got, expected, c.json.tolerance);
      });
  } finally {
    await run.dispose();
  }
}

function block(c: Case): Run {
  const kind = /FIDInception([A-E])(?:_(\d))?/
    .exec(c.json.function!)!
    .slice(1)
    .join("") as InceptionKind;
  const parameters = renamed(below(c.tensors(), "w."));
  const inChannels = c.tensors()["in.x"].shape[1];
  const width = (name: string): number => parameters[`${name}.conv.weight`].shape[0];
  const { layer } = inceptionBlock(kind, inChannels, width);
  return { parameters, forward: ({ x }) => ({ out: layer.apply(parameterScope(), "", x).out }) };
}

/** pytorch-fid's network: images in [0, 1], torch's bilinear resize; means and a corner of the blocks' maps. */
function pytorchFid(c: Case): Run {
  const parameters = renamed(below(c.tensors(), "w."));
  const net = inceptionV3(inceptionV3Config(parameters));
  return {
    parameters,
    forward: ({ x }) => {
      const maps: Record<string, Sym> = {};
      const scope = parameterScope({
        intercept: ({ path, args }, proceed) => {
          const result = proceed(...args);
          if (path === "mixed_6e") maps[path] = (result as { out: Sym }).out;
          return result;
        },
      });
      const images = inceptionInput(mul(x, 255), "legacy-pytorch");
      const found = net.apply(scope, "", images, ["64", "192", "768", "2048"]);
      return {
        pool3_features: found["2048"]!,
        block0_mean_hw: found["64"]!,
        block1_mean_hw: found["192"]!,
        block2_mean_hw: found["768"]!,
        block2_corner: slice(slice(maps.mixed_6e, 2, 0, 4), 3, 0, 4),
      };
    },
  };
}

/** torch-fidelity's network: 8-bit images, TensorFlow's resize. */
function torchFidelity(c: Case): Run {
  const parameters = renamed(storedOrFormula(c));
  const net = inceptionV3(inceptionV3Config(parameters));
  const features: readonly InceptionFeature[] = [
    "64",
    "192",
    "768",
    "2048",
    "logits_unbiased",
    "logits",
  ];
  return {
    parameters,
    forward: (inputs) => {
      const images = cast(Object.values(inputs)[0], "float32");
      const found = net.apply(
        parameterScope(),
        "",
        inceptionInput(images, "legacy-tensorflow"),
        features,
      );
      return { ...(found as Outputs), pool_64: found["64"]! };
    },
  };
}

function perceptual(c: Case): Run {
  const parameters = storedOrFormula(c);
  const net = lpips(lpipsNetOf(parameters));
  return {
    parameters,
    forward: ({ a, b }) => {
      const { distance, layers } = net.apply(parameterScope(), "", a, b);
      return { distance, ...Object.fromEntries(layers.map((layer, i) => [`layer${i}`, layer])) };
    },
  };
}

function lpipsNetOf(parameters: Readonly<Record<string, Tensor>>): LpipsNet {
  if ("lin6.model.1.weight" in parameters) return "squeeze";
  return parameters["lin1.model.1.weight"].shape[1] === 192 ? "alex" : "vgg";
}

/** Weights of the case, or those that its formula gives. */
function storedOrFormula(c: Case): Record<string, Tensor> {
  const { k0, names_and_shapes } = (c.json.config ?? {}) as {
    k0?: number;
    names_and_shapes?: Record<string, number[]>;
  };
  return names_and_shapes === undefined
    ? below(c.tensors(), "w.")
    : formulaWeights(names_and_shapes, k0 ?? 0);
}

/** Inputs `N` against outputs `N.align_false`, `N.align_true`, `N.torch_align_false`, and the 299 × 299 of the network. */
function resizing(c: Case): Run {
  const wanted = Object.keys(c.tensors()).filter((name) => name.startsWith("out."));
  return {
    parameters: {},
    forward: (inputs) =>
      Object.fromEntries(
        wanted.map((name) => {
          const [id, way] = name.slice("out.".length).split(".");
          const { shape } = c.tensors()[name];
          return [`${id}.${way}`, resized(inputs[id], way, [shape[2], shape[3]])];
        }),
      ),
  };
}

function resized(x: Sym, way: string, size: readonly [number, number]): Sym {
  const every = /_every(\d+)$/.exec(way)?.[1];
  if (every !== undefined) {
    const whole = way.startsWith("normalised")
      ? inceptionInput(x, "legacy-tensorflow")
      : resize(x, [INCEPTION_SIZE, INCEPTION_SIZE], "linear", "asymmetric");
    return [2, 3].reduce((y, axis) => slice(y, axis, 0, INCEPTION_SIZE, Number(every)), whole);
  }
  if (way.startsWith("torch"))
    return interpolate(x, { size, mode: "bilinear", alignCorners: way.endsWith("true") });
  return resize(x, size, "linear", way.endsWith("true") ? "align_corners" : "asymmetric");
}

function renamed(weights: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(weights).flatMap(([key, value]) => {
      const name = inceptionKey(key);
      return name === undefined ? [] : [[name, value]];
    }),
  );
}
