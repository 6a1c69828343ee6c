/** The FID Inception network as a {@link FeatureNetwork}. */
import type { SourceInput } from "../../checkpoints/files/open-source.ts";
import { unknownName } from "../../errors.ts";
import { cast } from "../../graph/ops.ts";
import { spec } from "../../graph/trace.ts";
import { resizeFloats } from "../../images/resize/resize.ts";
import {
  INCEPTION_RESIZES,
  INCEPTION_SIZE,
  type InceptionFeature,
  inceptionInput,
  inceptionKey,
  type InceptionResize,
  inceptionV3,
  inceptionV3Config,
} from "../../models/inception-v3.ts";
import { parameterScope } from "../../nn/scopes.ts";
import { type Compiled, compile } from "../../runtime/compile.ts";
import type { SessionOptions } from "../../runtime/session.ts";
import { concatenate } from "../../tensor/shape.ts";
import { float32, type Tensor } from "../../tensor/tensor.ts";
import type { FeatureNetwork, NetworkOutputs } from "./feature-network.ts";
import { KNOWN_WEIGHTS } from "./known-weights.ts";
import { groupBySize, type Rgb, stackRgb } from "./rgb.ts";
import { checkWeights, readWeightsFile, renameAll, type WeightsFile } from "./weights-file.ts";

export interface InceptionOptions extends SessionOptions {
  /** @default "clean" */
  readonly resize?: InceptionResize;
}

/**
 * Opens the network from a weights file: pytorch-fid's or torch-fidelity's, or any file with those keys.
 *
 * @throws NijimiError `checkpoint` for other weights, naming their hash
 * @example
 * const network = await openInception("pt_inception-2015-12-05-6726825d.pth", { resize: "clean" });
 */
export async function openInception(
  input: SourceInput,
  options: InceptionOptions = {},
): Promise<FeatureNetwork> {
  return inceptionOfWeights(await readWeightsFile(input), options);
}

/** The network over weights that are in memory. */
export async function inceptionOfWeights(
  file: WeightsFile,
  { resize = "clean", ...session }: InceptionOptions = {},
): Promise<FeatureNetwork> {
  if (!INCEPTION_RESIZES.includes(resize)) throw unknownName("resizing", resize, INCEPTION_RESIZES);
  const parameters = renameAll(file.tensors, inceptionKey);
  const config = inceptionV3Config(parameters);
  const net = inceptionV3(config);
  checkWeights(file, "the FID Inception network", net.parameters, parameters);
  const wanted: InceptionFeature[] = ["2048", "spatial"];
  if (config.classes > 0) wanted.push("logits_unbiased");
  const clean = resize === "clean";
  const shape = clean ? [INCEPTION_SIZE, INCEPTION_SIZE] : ["height", "width"];
  const run = await compile(
    ({ x }) => net.apply(parameterScope(), "", inceptionInput(cast(x, "float32"), resize), wanted),
    { x: spec(clean ? "float32" : "uint8", ["batch", 3, ...shape]) },
    { ...session, parameters },
  );
  const sizeOf = (feature: InceptionFeature): number =>
    run.graph.outputs.find(({ name }) => name === `output.${feature}`)!.value.shape[1] as number;
  const released = file.sha256 === KNOWN_WEIGHTS["fid-inception"].sha256;
  return {
    name: "inception-v3",
    ...(released && { standard: "fid-inception" }),
    resize,
    sha256: file.sha256,
    dimensions: {
      features: sizeOf("2048"),
      spatial: sizeOf("spatial"),
      ...(config.classes > 0 && { logits: config.classes }),
    },
    embed: async (pictures) =>
      outputsOf(
        clean ? await run({ x: resizedCleanly(pictures) }) : await runBySize(run, pictures),
      ),
    dispose: () => run.dispose(),
  };
}

type Outputs = Partial<Record<InceptionFeature, Tensor>>;

function outputsOf(found: Outputs): NetworkOutputs {
  return {
    features: found["2048"]!,
    spatial: found.spatial!,
    ...(found.logits_unbiased !== undefined && { logits: found.logits_unbiased }),
  };
}

/** Runs pictures of equal size together, and gives the results in the pictures' order. */
async function runBySize(
  run: Compiled<{ readonly x: Tensor }, Outputs>,
  pictures: readonly Rgb[],
): Promise<Outputs> {
  const groups = groupBySize(pictures);
  const results: Outputs[] = [];
  for (const group of groups)
    results.push(await run({ x: stackRgb(group.map((i) => pictures[i])) }));
  if (groups.length === 1) return results[0];
  const order = groups.flat();
  const joined = (Object.keys(results[0]) as InceptionFeature[]).map((name) => {
    const all = concatenate(results.map((result) => result[name]!)) as Tensor<"float32">;
    return [name, inOrder(all, order)];
  });
  return Object.fromEntries(joined) as Outputs;
}

/** Row `order[i]` of the result is row i of `rows`. */
function inOrder({ shape, data }: Tensor<"float32">, order: readonly number[]): Tensor<"float32"> {
  const width = shape[1];
  const out = new Float32Array(data.length);
  order.forEach((to, from) => out.set(data.subarray(from * width, (from + 1) * width), to * width));
  return float32(shape, out);
}

/**
 * clean-fid's resizing (Parmar et al. 2022, arXiv 2104.11222): Pillow's bicubic filter, which widens when shrinking,
 * on floats that are clipped to 0 … 255 and not rounded.
 */
function resizedCleanly(pictures: readonly Rgb[]): Tensor<"float32"> {
  const size = INCEPTION_SIZE;
  const area = size * size;
  const out = new Float32Array(pictures.length * 3 * area);
  pictures.forEach(({ width, height, data }, n) => {
    const whole = { width, height, channels: 3, data: Float32Array.from(data) };
    const resized =
      width === size && height === size
        ? whole
        : resizeFloats(whole, { width: size, height: size });
    for (let c = 0; c < 3; c++)
      for (let i = 0; i < area; i++)
        out[(n * 3 + c) * area + i] = Math.min(255, Math.max(0, resized.data[i * 3 + c]));
  });
  return float32([pictures.length, 3, size, size], out);
}
