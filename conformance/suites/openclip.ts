/**
 * CLIP in its authors' layout (OpenAI, OpenCLIP): features, logits, loss and gradients of both kinds of image tower,
 * through the key maps; and OpenAI's half-precision files.
 */
import { basename, join } from "node:path";
import {
  clipTextMap,
  clipVisionMap,
  type Entry,
  entryOf,
  type KeyMap,
  openCheckpoint,
  prefixed,
  readAll,
  toForeign,
  toOurs,
} from "nijimi/checkpoints";
import { gradients, softmax, spec, type Sym, transpose } from "nijimi/graph";
import {
  clipLogits,
  clipResnet,
  clipTextWithProjection,
  CLIP_TEXT_DEFAULTS,
  CLIP_VISION_DEFAULTS,
  clipVisionWithProjection,
  contrastiveLoss,
  LOGIT_SCALE,
} from "nijimi/models";
import { parameterScope, type Scope } from "nijimi/nn";
import { compile, type Device } from "nijimi/runtime";
import { cast, float32, type Tensor, toFloat64 } from "nijimi/tensor";
import type { Case, Comparison, Suite } from "../case.ts";
import { compareTensors } from "../compare.ts";
import { below } from "./run-layer.ts";

type Config = Readonly<Record<string, unknown>>;
type Parameters = Record<string, Tensor>;

/** What both authors' configs say, in one form. */
interface ClipShape {
  readonly embedDim: number;
  readonly quickGelu: boolean;
  readonly text: {
    readonly width: number;
    readonly heads: number;
    readonly layers: number;
    readonly vocabSize: number;
    readonly length: number;
  };
  readonly vision: {
    readonly width: number;
    readonly layers: number | readonly number[];
    readonly heads: number;
    readonly patch: number;
    readonly imageSize: number;
  };
}

const openAi = (config: Config): ClipShape => {
  const isResnet = Array.isArray(config["vision_layers"]);
  const width = Number(config["vision_width"]);
  return {
    embedDim: Number(config["embed_dim"]),
    quickGelu: true,
    text: {
      width: Number(config["transformer_width"]),
      heads: Number(config["transformer_heads"]),
      layers: Number(config["transformer_layers"]),
      vocabSize: Number(config["vocab_size"]),
      length: Number(config["context_length"]),
    },
    vision: {
      width,
      layers: config["vision_layers"] as number | number[],
      heads: (isResnet ? width * 32 : width) / 64,
      patch: Number(config["vision_patch_size"]),
      imageSize: Number(config["image_resolution"]),
    },
  };
};

const openClip = (config: Config): ClipShape => {
  const text = config["text_cfg"] as Record<string, number>;
  const vision = config["vision_cfg"] as Record<string, number> & { layers: number | number[] };
  const { head_width: headWidth = 64 } = vision;
  return {
    embedDim: Number(config["embed_dim"]),
    quickGelu: config["quick_gelu"] === true,
    text: {
      width: text["width"],
      heads: text["heads"],
      layers: text["layers"],
      vocabSize: text["vocab_size"],
      length: text["context_length"],
    },
    vision: {
      width: vision["width"],
      layers: vision.layers,
      heads: (Array.isArray(vision.layers) ? vision["width"] * 32 : vision["width"]) / headWidth,
      patch: vision["patch_size"],
      imageSize: vision["image_size"],
    },
  };
};

const SHAPES: Readonly<Record<string, (config: Config) => ClipShape>> = {
  "clip.model.CLIP": openAi,
  "open_clip.model.CLIP": openClip,
};
const HALF_PRECISION = "torch.save / clip.model.convert_weights";

export const suite: Suite = {
  kind: "openclip",
  accepts: ({ json }) =>
    Object.hasOwn(SHAPES, json.function ?? "") || json.function === HALF_PRECISION,
  run: async (c, { device }) =>
    c.json.function === HALF_PRECISION
      ? halfPrecision(c, device as Device)
      : towers(c, SHAPES[c.json.function!](c.json.config ?? {}), device as Device),
};

/** The map of a CLIP; ResNet towers keep their names. */
function mapOf({ text, vision }: ClipShape): KeyMap {
  return [
    ...clipTextMap(text.layers),
    ...(typeof vision.layers === "number"
      ? prefixed(clipVisionMap(vision.layers), { foreign: "visual" })
      : [{ foreign: "visual", ours: "visual" }]),
    { foreign: "logit_scale", ours: "logit_scale" },
  ];
}

function imageTower({ vision, embedDim, quickGelu }: ClipShape) {
  const { layers, width, heads, patch, imageSize } = vision;
  if (typeof layers !== "number") {
    const tower = clipResnet({ layers, width, heads, projectionDim: embedDim, imageSize });
    return (scope: Scope, image: Sym): Sym => tower.apply(scope, "visual", image);
  }
  const tower = clipVisionWithProjection({
    ...CLIP_VISION_DEFAULTS,
    hiddenSize: width,
    intermediateSize: 4 * width,
    projectionDim: embedDim,
    numHiddenLayers: layers,
    numAttentionHeads: heads,
    imageSize,
    patchSize: patch,
    hiddenAct: quickGelu ? "quick_gelu" : "gelu",
  });
  return (scope: Scope, image: Sym): Sym => tower.apply(scope, "", image).embeds;
}

function textTower({ text, embedDim, quickGelu }: ClipShape) {
  return clipTextWithProjection({
    ...CLIP_TEXT_DEFAULTS,
    vocabSize: text.vocabSize,
    hiddenSize: text.width,
    intermediateSize: 4 * text.width,
    projectionDim: embedDim,
    numHiddenLayers: text.layers,
    numAttentionHeads: text.heads,
    maxPositionEmbeddings: text.length,
    eosTokenId: 2, // the largest id ends the text
    hiddenAct: quickGelu ? "quick_gelu" : "gelu",
  });
}

async function ours(map: KeyMap, foreign: Readonly<Parameters>): Promise<Parameters> {
  const entries: Record<string, Entry> = Object.fromEntries(
    Object.entries(foreign).map(([name, value]) => [name, entryOf(value)]),
  );
  return readAll(toOurs(map, entries).entries);
}

async function towers(c: Case, shape: ClipShape, device: Device): Promise<Comparison[]> {
  const tensors = c.tensors();
  const map = mapOf(shape);
  const parameters = await ours(map, below(tensors, "w."));
  const text = textTower(shape);
  const vision = imageTower(shape);
  const [image, ids] = [tensors["in.image"], tensors["in.tokens"] ?? tensors["in.text"]];
  const wanted = Object.keys(below(tensors, "grad.w."));
  const run = await compile(
    (inputs: Record<"image" | "ids", Sym>) => {
      const used: Record<string, Sym> = {};
      const inner = parameterScope();
      const scope: Scope = {
        parameter: (path, spec) => (used[path] = inner.parameter(path, spec)),
      };
      const imageFeatures = vision(scope, inputs.image);
      const textFeatures = text.apply(scope, "", { ids: inputs.ids }).embeds;
      const perImage = clipLogits(
        imageFeatures,
        textFeatures,
        scope.parameter("logit_scale", LOGIT_SCALE),
      );
      const loss = contrastiveLoss(perImage);
      const out = {
        image_features: imageFeatures,
        text_features: textFeatures,
        logits_per_image: perImage,
        logits_per_text: transpose(perImage, [1, 0]),
        probs: softmax(perImage, -1),
        loss,
      };
      const names = wanted.length === 0 ? [] : Object.keys(used);
      const found = gradients(
        loss,
        names.map((name) => used[name]),
      );
      return { out, grad: Object.fromEntries(names.map((name, i) => [name, found[i]])) };
    },
    { image: spec(image.dtype, image.shape), ids: spec("int64", ids.shape) },
    { device, parameters },
  );
  try {
    const { out, grad } = (await run({ image, ids: cast(ids, "int64") })) as unknown as Record<
      "out" | "grad",
      Parameters
    >;
    const expected = below(tensors, "out.");
    return [
      ...Object.keys(expected).map((name) =>
        compareTensors(`out.${name}`, out[name], expected[name], c.json.tolerance),
      ),
      ...(await compareGradients(c, map, grad, wanted)),
    ];
  } finally {
    await run.dispose();
  }
}

/** Gradients under the authors' names: what the map does to weights it does to gradients. */
async function compareGradients(
  c: Case,
  map: KeyMap,
  grad: Parameters,
  wanted: readonly string[],
): Promise<Comparison[]> {
  const entries = Object.fromEntries(
    Object.entries(grad).map(([name, value]) => [name, entryOf(value)]),
  );
  const foreign = toForeign(map, entries).entries;
  return Promise.all(
    wanted.map(async (name) => {
      const expected = c.tensors()[`grad.w.${name}`];
      const got = await foreign[name].read();
      return compareTensors(
        `grad.w.${name}`,
        { ...got, shape: expected.shape } as Tensor,
        expected,
        c.json.tolerance,
      );
    }),
  );
}

/** OpenAI's file of mixed precision and the old format: sums of all tensors, and features. */
async function halfPrecision(c: Case, device: Device): Promise<Comparison[]> {
  const tensors = c.tensors();
  const { files = [] } = (c.json.config ?? {}) as { files?: readonly string[] };
  const [mixed, legacy] = files.map((file) => join(c.folder, basename(file)));
  /** In the order of the names given, or of the file. */
  const sums = async (path: string, order?: readonly string[]) => {
    const checkpoint = await openCheckpoint(path);
    const all = await readAll(checkpoint.entries);
    await checkpoint.close();
    const names = order ?? Object.keys(all);
    const values = names.map((name) => toFloat64(all[name]).reduce((sum, v) => sum + v, 0));
    return { all, sums: float32([names.length], values) };
  };
  const sorted = c.json.config?.["keys_sorted"] as string[];
  const { all, sums: mixedSums } = await sums(mixed, sorted);
  const { sums: legacySums } = await sums(legacy);
  const vit = c.sibling(c.id.replace(/[^/]+$/, "vit")).json.config ?? {};
  const shape = openAi(vit);
  const parameters = await ours(
    mapOf(shape),
    Object.fromEntries(Object.entries(all).map(([name, value]) => [name, cast(value, "float32")])),
  );
  const vision = imageTower(shape);
  const image = tensors["in.image"];
  const run = await compile(
    (inputs: Record<"image", Sym>) => vision(parameterScope(), inputs.image),
    { image: spec(image.dtype, image.shape) },
    { device, parameters },
  );
  const features = (await run({ image })) as unknown as Tensor;
  await run.dispose();
  return [
    compareTensors("out.image_features", features, tensors["out.image_features"], c.json.tolerance),
    compareTensors("out.dtype_sum", mixedSums, tensors["out.dtype_sum"], c.json.tolerance),
    compareTensors("out.legacy_sum", legacySums, tensors["out.legacy_sum"], c.json.tolerance),
  ];
}
