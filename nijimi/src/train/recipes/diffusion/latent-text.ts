/**
 * Latent diffusion conditioned on text (Rombach et al. 2022, arXiv:2112.10752): a U-Net in the latents of a trained
 * autoencoder, which attends to the states of a trained CLIP's text tower. Captions are dropped now and then, so that
 * guidance has an unconditional prediction.
 */
import type { JsonObject } from "../../../checkpoints/json.ts";
import { saveDiffusersFolder } from "../../../checkpoints/save-folder.ts";
import type { DatasetSpec } from "../../../data/open-dataset.ts";
import { mixture } from "../../../data/sources/derived.ts";
import type { ImageOptions } from "../../../data/transform/options.ts";
import { mul } from "../../../graph/ops.ts";
import { spec } from "../../../graph/trace.ts";
import { autoencoderKl, readAutoencoderKlConfig } from "../../../models/autoencoder-kl.ts";
import { clipText, readClipTextConfig } from "../../../models/clip.ts";
import {
  UNET_2D_CONDITION_DEFAULTS,
  unet2dCondition,
  type Unet2dConditionConfig,
} from "../../../models/unet-2d-condition.ts";
import { parameterScope, recordScope, unflatten } from "../../../nn/scopes.ts";
import { compile } from "../../../runtime/compile.ts";
import type { TorchGenerator } from "../../../tensor/random/torch.ts";
import { float32, type Tensor } from "../../../tensor/tensor.ts";
import type { Tokenizer } from "../../../text/tokenizer.ts";
import { adamW } from "../../optimisers/adam.ts";
import { learningRateAt } from "../../optimisers/schedules.ts";
import { layoutOf, type Player, unflattenTensor } from "../../program.ts";
import type { BuildContext, CommonSettings, Training } from "../../recipe.ts";
import { modelVector } from "../averaged.ts";
import { tokenIds, tokenizerOf } from "../clip.ts";
import { configJson } from "../config-json.ts";
import { indexedFeed, indices } from "../indexed-feed.ts";
import { stack } from "../stack.ts";
import { readText, readTrained, type TrainedNetwork } from "../trained.ts";
import { drawLatent, encodeSet, type EncodedSet } from "./latents.ts";
import { samplePreview } from "./preview.ts";
import { makeProcess, type ProcessSettings } from "./process.ts";
import { diffusionProgram, noisedBatch } from "./program.ts";
import { schedulerComponent } from "./scheduler-config.ts";

/** Settings of a text-conditional latent diffusion model. */
export interface LatentTextSettings extends CommonSettings {
  /** Run or folder of the autoencoder. */
  readonly autoencoder: string;
  /** Run or folder of the CLIP. */
  readonly textEncoder: string;
  /** Side of the pictures. */
  readonly size: number;
  readonly channels: readonly number[];
  readonly layersPerBlock: number;
  /** Levels that attend to the text, as places in `channels`; the middle always does. */
  readonly attentionLevels: readonly number[];
  readonly heads: number;
  readonly normGroups: number;
  /** Share of captions replaced by the empty text. */
  readonly dropCaptions: number;
  readonly process: ProcessSettings;
  readonly learningRate: number;
  readonly warmupUpdates: number;
  readonly decayUpdates: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly emaDecay: number;
  /** Texts of the previews. */
  readonly previews: readonly string[];
  readonly previewGuidance: number;
}

/** What the pairs are. */
export interface LatentTextData {
  readonly training: DatasetSpec;
  readonly image: ImageOptions;
  /** How often a sample is drawn, relative to the others; by its key and metadata. @default 1 */
  weight?(key: string, metadata: Readonly<Record<string, unknown>> | undefined): number;
  /** A text for a sample: its caption, or what says the same. */
  text(
    caption: string,
    metadata: Readonly<Record<string, unknown>> | undefined,
    random: TorchGenerator,
  ): string;
}

const TOKENIZER_FILES = [
  "vocab.json",
  "merges.txt",
  "tokenizer_config.json",
  "special_tokens_map.json",
];

/** The program, and what feeds, shows and saves it. */
export async function buildLatentText(
  settings: LatentTextSettings,
  data: LatentTextData,
  { rank, trained, cacheFolder, threads }: BuildContext,
): Promise<Training> {
  const parts = await readParts(settings, trained);
  const encoded = await encodeSet({
    dataset: data.training,
    image: data.image,
    autoencoder: parts.autoencoder,
    cache: `${cacheFolder}/latents-${rank.index}.safetensors`,
    ...(threads !== undefined && { threads }),
  });
  const { batchSize, seed, dropCaptions } = settings;
  const process = makeProcess(settings.process);
  const config = unetConfig(settings, parts);
  const net = unet2dCondition(config);
  const player = unetPlayer(settings, net.parameters);
  const text = clipText(parts.textConfig);
  const [, doubled, height, width] = encoded.moments.shape;
  const shape = [doubled / 2, height, width];
  const program = diffusionProgram({
    player,
    shape,
    batchSize,
    norm: settings.process.norm,
    context: { ids: spec("int64", [batchSize, parts.tokenizer.maxLength]) },
    frozen: { text: parts.textWeights },
    network: (scopes, sample, timestep, { ids }) =>
      net.apply(scopes["unet"], "", {
        sample,
        timestep,
        encoderHiddenStates: text.apply(scopes["text"], "", { ids }).lastHiddenState,
      }),
  });
  const { set, pictures } = weighted(encoded, data);
  const feed = indexedFeed(
    set,
    (chosen, { perSample }) => {
      const order = Array.from(chosen, (index) => pictures[index]);
      const latents = perSample.map((random, i) =>
        drawLatent(encoded.moments, order[i], random, parts.scalingFactor),
      );
      const texts = perSample.map((random, i) => {
        const dropped = random.rand([1]).data[0] < dropCaptions;
        const { captions, metadata } = encoded;
        return dropped ? "" : data.text(captions[order[i]], metadata[order[i]], random);
      });
      return {
        ...noisedBatch(process, stack(latents), perSample),
        ids: tokenIds(parts.tokenizer, texts),
      };
    },
    { seed, batchSize, rank },
  );
  const draw = await previewer(settings, parts, config, player, shape, threads);
  return {
    program,
    feed,
    preview: async (vectors) => [
      { name: "samples", images: await draw.run(modelVector(vectors, "unet")) },
    ],
    save: (vectors, folder) =>
      saveDiffusersFolder(folder, {
        className: "StableDiffusionPipeline",
        options: { requires_safety_checker: false },
        components: {
          vae: {
            library: "diffusers",
            className: "AutoencoderKL",
            config: withoutBookkeeping(parts.autoencoder.config),
            tensors: parts.autoencoder.tensors,
          },
          text_encoder: {
            library: "transformers",
            className: "CLIPTextModel",
            config: { model_type: "clip_text_model", ...configJson(parts.textConfig) },
            tensors: parts.textWeights,
          },
          tokenizer: {
            library: "transformers",
            className: "CLIPTokenizer",
            files: parts.tokenizerFiles,
          },
          unet: {
            library: "diffusers",
            className: "UNet2DConditionModel",
            config: { sample_size: width, ...configJson(config) },
            tensors: unflattenTensor(layoutOf(player), modelVector(vectors, "unet")),
          },
          scheduler: schedulerComponent(settings.process),
          safety_checker: null,
          feature_extractor: null,
        },
      }),
    dispose: draw.dispose,
  };
}

interface Parts {
  readonly autoencoder: TrainedNetwork;
  readonly scalingFactor: number;
  readonly textConfig: ReturnType<typeof readClipTextConfig>;
  readonly textWeights: Readonly<Record<string, Tensor>>;
  readonly tokenizerFiles: Readonly<Record<string, string>>;
  readonly tokenizer: Tokenizer;
}

/** The trained autoencoder, text tower and tokenizer. */
async function readParts(
  settings: LatentTextSettings,
  trained: BuildContext["trained"],
): Promise<Parts> {
  const autoencoder = await readTrained(trained(settings.autoencoder));
  const clipFolder = trained(settings.textEncoder);
  const clip = await readTrained(clipFolder);
  const tokenizerFiles = Object.fromEntries(
    await Promise.all(
      TOKENIZER_FILES.map(async (name) => [name, await readText(clipFolder, name)] as const),
    ),
  );
  return {
    autoencoder,
    scalingFactor: readAutoencoderKlConfig(autoencoder.config).scalingFactor,
    textConfig: readClipTextConfig(clip.config["text_config"] as JsonObject),
    textWeights: Object.fromEntries(
      Object.entries(clip.tensors).filter(([name]) => name.startsWith("text_model.")),
    ),
    tokenizerFiles,
    tokenizer: tokenizerOf(tokenizerFiles),
  };
}

/** A U-Net that attends to the text. */
function unetConfig(settings: LatentTextSettings, { autoencoder, textConfig }: Parts) {
  const { latentChannels } = readAutoencoderKlConfig(autoencoder.config);
  const attends = settings.channels.map((_, level) => settings.attentionLevels.includes(level));
  return {
    ...UNET_2D_CONDITION_DEFAULTS,
    inChannels: latentChannels,
    outChannels: latentChannels,
    downBlockTypes: attends.map((own) => (own ? "CrossAttnDownBlock2D" : "DownBlock2D")),
    upBlockTypes: attends.toReversed().map((own) => (own ? "CrossAttnUpBlock2D" : "UpBlock2D")),
    blockOutChannels: settings.channels,
    layersPerBlock: settings.layersPerBlock,
    attentionHeadDim: settings.heads,
    normNumGroups: settings.normGroups,
    crossAttentionDim: textConfig.hiddenSize,
  } satisfies Unet2dConditionConfig;
}

function unetPlayer(settings: LatentTextSettings, parameters: Player["parameters"]): Player {
  return {
    parameters,
    optimiser: adamW({ betas: [0.9, 0.99], weightDecay: settings.weightDecay }),
    clipNorm: settings.clipNorm,
    ema: { decay: settings.emaDecay },
    learningRate: (update) =>
      learningRateAt("warmup_stable_decay", settings.learningRate, update, {
        warmupSteps: settings.warmupUpdates,
        trainingSteps: settings.updates,
        decaySteps: settings.decayUpdates,
      }),
  };
}

/** Indices of the encoded pictures, each group of equal weight drawn as often as it should. */
function weighted({ keys, metadata }: EncodedSet, { weight = () => 1 }: LatentTextData) {
  const groups = new Map<number, number[]>();
  keys.forEach((key, i) => {
    const value = weight(key, metadata[i]);
    groups.set(value, [...(groups.get(value) ?? []), i]);
  });
  const set = mixture(
    [...groups].map(([value, { length }]) => ({
      dataset: indices(`weight ${value}`, length),
      weight: value * length,
    })),
  );
  // A mixture numbers its parts one after the other: `pictures` leads back to the set.
  return { set, pictures: [...groups.values()].flat() };
}

/** Draws the previews' texts from fixed noise. */
async function previewer(
  settings: LatentTextSettings,
  parts: Parts,
  config: Unet2dConditionConfig,
  player: Player,
  shape: readonly number[],
  threads: number | undefined,
) {
  const options = threads === undefined ? {} : { threads };
  const layout = layoutOf(player);
  const net = unet2dCondition(config);
  const text = clipText(parts.textConfig);
  const vae = autoencoderKl(readAutoencoderKlConfig(parts.autoencoder.config));
  const count = settings.previews.length;
  const encode = await compile(
    ({ ids }) => text.apply(parameterScope(), "", { ids }).lastHiddenState,
    { ids: spec("int64", [count, parts.tokenizer.maxLength]) },
    { parameters: parts.textWeights, ...options },
  );
  const [conditional, unconditional] = await Promise.all(
    [settings.previews, settings.previews.map(() => "")].map((texts) =>
      encode({ ids: tokenIds(parts.tokenizer, texts) }),
    ),
  );
  await encode.dispose();
  const unet = await compile(
    ({ parameters, sample, timestep, states }) =>
      net.apply(recordScope(unflatten(parameters, layout)), "", {
        sample,
        timestep,
        encoderHiddenStates: states,
      }),
    {
      parameters: spec("float32", [layout.size]),
      sample: spec("float32", [count, ...shape]),
      timestep: spec("float32", [count]),
      states: spec("float32", conditional.shape),
    },
    options,
  );
  const decode = await compile(
    ({ latents }) => vae.decode.apply(parameterScope(), "", mul(latents, 1 / parts.scalingFactor)),
    { latents: spec("float32", [count, ...shape]) },
    { parameters: parts.autoencoder.tensors, ...options },
  );
  return {
    run: async (parameters: Tensor): Promise<Tensor<"float32">> => {
      const network = async (sample: Tensor<"float32">, cNoise: number, given: boolean) =>
        (await unet({
          parameters,
          sample,
          timestep: float32(
            [count],
            Array.from({ length: count }, () => cNoise),
          ),
          states: given ? conditional : unconditional,
        })) as Tensor<"float32">;
      const latents = await samplePreview(makeProcess(settings.process), network, {
        shape: [count, ...shape],
        guidanceScale: settings.previewGuidance,
      });
      return (await decode({ latents })) as Tensor<"float32">;
    },
    dispose: async () => {
      await unet.dispose();
      await decode.dispose();
    },
  };
}

function withoutBookkeeping(config: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !key.startsWith("_")));
}
