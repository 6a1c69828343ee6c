/**
 * CLIP (Radford et al. 2021, arXiv:2103.00020): a text and an image tower trained to tell which captions belong to
 * which pictures of a batch. Differs from the paper in size, and in a vocabulary learnt from the captions themselves.
 */
import type { JsonObject } from "../../checkpoints/json.ts";
import { saveComponent } from "../../checkpoints/save-folder.ts";
import { loadBatches } from "../../data/loader.ts";
import type { DatasetSpec } from "../../data/open-dataset.ts";
import { unknownName } from "../../errors.ts";
import { minimum } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { spec } from "../../graph/trace.ts";
import {
  CLIP_TEXT_DEFAULTS,
  CLIP_VISION_DEFAULTS,
  clipLogits,
  type ClipTextConfig,
  clipTextWithProjection,
  type ClipVisionConfig,
  clipVisionWithProjection,
  contrastiveLoss,
  LOGIT_SCALE,
} from "../../models/clip.ts";
import { clipResnet } from "../../models/clip-resnet.ts";
import type { Scope } from "../../nn/layer.ts";
import { recordScope, unflatten } from "../../nn/scopes.ts";
import { compile } from "../../runtime/compile.ts";
import type { TorchGenerator } from "../../tensor/random/torch.ts";
import { int64, type Tensor } from "../../tensor/tensor.ts";
import { loadTokenizer } from "../../text/load-tokenizer.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { adamW } from "../optimisers/adam.ts";
import { learningRateAt } from "../optimisers/schedules.ts";
import { layoutOf, type Player, type Program, unflattenTensor, type Vectors } from "../program.ts";
import type { BuildContext, CommonSettings, Training } from "../recipe.ts";
import { END_TOKEN, START_TOKEN, tokenizerFiles, trainBpe } from "../tokenizer/train-bpe.ts";
import { modelVector } from "./averaged.ts";
import { configJson } from "./config-json.ts";
import { imageFeed, type TrainingImages } from "./image-feed.ts";
import { recallAt } from "./recall.ts";

export const IMAGE_TOWERS = ["vit", "resnet"] as const;

/** Settings of a CLIP. */
export interface ClipSettings extends CommonSettings {
  /** Side of the pictures. */
  readonly size: number;
  readonly vocabularySize: number;
  /** Tokens of a text, markers included. */
  readonly textLength: number;
  readonly textWidth: number;
  readonly textLayers: number;
  /** "vit", or the paper's ResNet with norms of groups of channels. */
  readonly imageTower: (typeof IMAGE_TOWERS)[number];
  /** Of a ViT. */
  readonly imageWidth: number;
  readonly imageLayers: number;
  readonly patchSize: number;
  /** Blocks of a ResNet's four stages, and channels after its stem. */
  readonly resnetLayers: readonly number[];
  readonly resnetWidth: number;
  readonly headWidth: number;
  readonly embedding: number;
  readonly learningRate: number;
  readonly warmupUpdates: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly emaDecay: number;
}

/** What the pairs are. */
export interface ClipData extends TrainingImages {
  /** Pairs that training does not see, for figures. */
  readonly heldOut: DatasetSpec;
  /** Texts that the vocabulary is learnt from. */
  readonly texts: readonly string[];
  /** A text for a sample: its caption, or what says the same. */
  text(
    caption: string,
    metadata: Readonly<Record<string, unknown>> | undefined,
    random: TorchGenerator,
  ): string;
}

/** Pairs that figures look at. */
const HELD_OUT = 100;
/** The paper keeps the scale from rising above 100. */
const LARGEST_SCALE = Math.log(100);

/** The program, and what feeds and saves it. */
export async function buildClip(
  settings: ClipSettings,
  data: ClipData,
  { rank, workers }: BuildContext,
): Promise<Training> {
  const { batchSize, seed, textLength } = settings;
  const files = tokenizerFiles(trainBpe(data.texts, settings.vocabularySize), textLength);
  const tokenizer = tokenizerOf(files);
  const towers = clipTowers(settings, tokenizer);
  const player = clipPlayer(settings, towers.parameters);
  const program: Program = {
    players: { model: player },
    batch: {
      images: spec("float32", [batchSize, 3, settings.size, settings.size]),
      ids: spec("int64", [batchSize, textLength]),
    },
    embed: ({ scopes, batch }) => towers.embed(scopes["model"], batch["images"], batch["ids"]),
    losses: ({ scopes, embeds }) => {
      const scale = minimum(scopes["model"].parameter("logit_scale", LOGIT_SCALE), LARGEST_SCALE);
      const loss = contrastiveLoss(clipLogits(embeds["images"], embeds["texts"], scale));
      return { losses: { model: loss }, metrics: { logitScale: scale } };
    },
  };
  const feed = imageFeed(
    data,
    ({ images, captions = [], metadata }, { perSample }) => {
      const texts = perSample.map((random, i) => data.text(captions[i] ?? "", metadata[i], random));
      return { images, ids: tokenIds(tokenizer, texts) };
    },
    { seed, batchSize, rank, workers },
  );
  const retrieval = await heldOutRetrieval(settings, data, towers, player, tokenizer);
  return {
    program,
    feed,
    evaluate: retrieval.evaluate,
    save: (vectors, folder) =>
      saveComponent(folder, {
        library: "transformers",
        className: "CLIPModel",
        config: {
          model_type: "clip",
          projection_dim: settings.embedding,
          ...towers.configs,
        },
        tensors: unflattenTensor(layoutOf(player), modelVector(vectors, "model")),
        files: { ...files, "preprocessor_config.json": preprocessorConfig(settings.size) },
      }),
    dispose: retrieval.dispose,
  };
}

/** A tokenizer from the texts of its files. */
export function tokenizerOf(files: Readonly<Record<string, string>>): Tokenizer {
  const encoder = new TextEncoder();
  return loadTokenizer(
    Object.fromEntries(Object.entries(files).map(([name, text]) => [name, encoder.encode(text)])),
  );
}

/** Ids of texts, cut or filled to the tokenizer's length: int64 [B, N]. */
export function tokenIds(tokenizer: Tokenizer, texts: readonly string[]): Tensor<"int64"> {
  const ids = texts.flatMap((text) => tokenizer.encode(text, { padding: true }).ids);
  return int64([texts.length, tokenizer.maxLength], ids);
}

/** The text tower's config. */
function textConfig(settings: ClipSettings, tokenizer: Tokenizer): ClipTextConfig {
  const end = tokenizer.idOf(END_TOKEN)!;
  return {
    ...CLIP_TEXT_DEFAULTS,
    vocabSize: tokenizer.vocabularySize,
    hiddenSize: settings.textWidth,
    intermediateSize: 4 * settings.textWidth,
    projectionDim: settings.embedding,
    numHiddenLayers: settings.textLayers,
    numAttentionHeads: settings.textWidth / settings.headWidth,
    maxPositionEmbeddings: settings.textLength,
    bosTokenId: tokenizer.idOf(START_TOKEN)!,
    eosTokenId: end,
    padTokenId: end,
  };
}

/** An image tower: pictures → embeddings. */
interface ImageTower {
  readonly parameters: Player["parameters"];
  readonly config: JsonObject;
  embed(scope: Scope, images: Sym): Sym;
}

function imageTower(settings: ClipSettings): ImageTower {
  switch (settings.imageTower) {
    case "vit":
      return vitTower(settings);
    case "resnet":
      return resnetTower(settings);
    default:
      throw unknownName("image tower", String(settings.imageTower), IMAGE_TOWERS);
  }
}

function vitTower(settings: ClipSettings): ImageTower {
  const config: ClipVisionConfig = {
    ...CLIP_VISION_DEFAULTS,
    hiddenSize: settings.imageWidth,
    intermediateSize: 4 * settings.imageWidth,
    projectionDim: settings.embedding,
    numHiddenLayers: settings.imageLayers,
    numAttentionHeads: settings.imageWidth / settings.headWidth,
    imageSize: settings.size,
    patchSize: settings.patchSize,
  };
  const tower = clipVisionWithProjection(config);
  return {
    parameters: tower.parameters,
    config: configJson(config),
    embed: (scope, images) => tower.apply(scope, "", images).embeds,
  };
}

/** Where checkpoints have a ResNet's tensors; transformers knows no such tower. */
const RESNET = "visual";

function resnetTower(settings: ClipSettings): ImageTower {
  const [a, b, c, d] = settings.resnetLayers;
  const config = {
    layers: [a, b, c, d],
    width: settings.resnetWidth,
    heads: Math.max(1, (settings.resnetWidth * 32) / 64),
    projectionDim: settings.embedding,
    imageSize: settings.size,
    norm: "group",
  } as const;
  const tower = clipResnet(config);
  return {
    parameters: Object.fromEntries(
      Object.entries(tower.parameters).map(([name, own]) => [`${RESNET}.${name}`, own]),
    ),
    config: { model_type: "clip_resnet", ...configJson(config) },
    embed: (scope, images) => tower.apply(scope, RESNET, images),
  };
}

/** Both towers and the scale, under CLIPModel's names. */
function clipTowers(settings: ClipSettings, tokenizer: Tokenizer) {
  const config = textConfig(settings, tokenizer);
  const text = clipTextWithProjection(config);
  const vision = imageTower(settings);
  return {
    configs: { text_config: configJson(config), vision_config: vision.config },
    parameters: { ...text.parameters, ...vision.parameters, logit_scale: LOGIT_SCALE },
    embed: (scope: Scope, images: Sym, ids: Sym) => ({
      images: vision.embed(scope, images),
      texts: text.apply(scope, "", { ids }).embeds,
    }),
  };
}

function clipPlayer(settings: ClipSettings, parameters: Player["parameters"]): Player {
  return {
    parameters,
    optimiser: adamW({ betas: [0.9, 0.98], eps: 1e-6, weightDecay: settings.weightDecay }),
    clipNorm: settings.clipNorm,
    ema: { decay: settings.emaDecay },
    learningRate: (update) =>
      learningRateAt("cosine", settings.learningRate, update, {
        warmupSteps: settings.warmupUpdates,
        trainingSteps: settings.updates,
      }),
  };
}

/** How often the right caption is among the first of all held-out ones. */
async function heldOutRetrieval(
  settings: ClipSettings,
  { heldOut, image }: ClipData,
  towers: ReturnType<typeof clipTowers>,
  player: Player,
  tokenizer: Tokenizer,
) {
  const layout = layoutOf(player);
  const { size, textLength } = settings;
  const run = await compile(
    ({ parameters, images, ids }) =>
      towers.embed(recordScope(unflatten(parameters, layout)), images, ids),
    {
      parameters: spec("float32", [layout.size]),
      images: spec("float32", ["n", 3, size, size]),
      ids: spec("int64", ["n", textLength]),
    },
  );
  const options = { batchSize: 20, image, seed: 0, workers: 0, epochs: 1, dropLast: false };
  const pairs: { images: Tensor; ids: Tensor }[] = [];
  for await (const { images, captions = [] } of loadBatches(heldOut, options)) {
    pairs.push({ images, ids: tokenIds(tokenizer, captions) });
    if (pairs.length * options.batchSize >= HELD_OUT) break;
  }
  return {
    evaluate: async (vectors: Vectors) => {
      const parameters = modelVector(vectors, "model");
      const rows: { images: Float32Array; texts: Float32Array }[] = [];
      for (const pair of pairs) {
        const { images, texts } = await run({ parameters, ...pair });
        for (let i = 0; i < images.shape[0]; i++)
          rows.push({ images: rowOf(images, i), texts: rowOf(texts, i) });
      }
      const recall = (k: number) =>
        recallAt(
          rows.map(({ images }) => images),
          rows.map(({ texts }) => texts),
          k,
        );
      return { recallAt1: recall(1), recallAt5: recall(5) };
    },
    dispose: () => run.dispose(),
  };
}

function rowOf({ shape: [, width], data }: Tensor, i: number): Float32Array {
  return (data as Float32Array).subarray(i * width, (i + 1) * width);
}

/** Pictures are taken as −1 … 1. */
function preprocessorConfig(size: number): string {
  const config: JsonObject = {
    image_processor_type: "CLIPImageProcessor",
    crop_size: { height: size, width: size },
    size: { shortest_edge: size },
    resample: 3,
    do_center_crop: true,
    do_convert_rgb: true,
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
    rescale_factor: 1 / 255,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
