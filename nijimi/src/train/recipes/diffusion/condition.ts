/**
 * What a diffusion model is told of a picture beside the noise level: nothing, its class, or its text. Text is told by
 * the states of a trained CLIP's text tower, which stays as it is, or of a transformer that is trained along with the
 * U-Net (as in GLIDE, Nichol et al. 2021, arXiv:2112.10741).
 */
import type { SavedComponent } from "../../../checkpoints/save-folder.ts";
import type { Sym } from "../../../graph/primitives.ts";
import { type InputSpec, spec } from "../../../graph/trace.ts";
import {
  CLIP_TEXT_DEFAULTS,
  clipText,
  type ClipTextConfig,
  readClipTextConfig,
} from "../../../models/clip.ts";
import { NijimiError, unknownName } from "../../../errors.ts";
import type { JsonObject } from "../../../checkpoints/json.ts";
import type { ParameterSpec, Scope } from "../../../nn/layer.ts";
import { int64, type Tensor } from "../../../tensor/tensor.ts";
import type { TorchGenerator } from "../../../tensor/random/torch.ts";
import type { Tokenizer } from "../../../text/tokenizer.ts";
import type { HostTensors } from "../../compile-program.ts";
import type { Program } from "../../program.ts";
import { END_TOKEN, START_TOKEN, tokenizerFiles, trainBpe } from "../../tokenizer/train-bpe.ts";
import { tokenIds, tokenizerOf } from "../clip.ts";
import { configJson } from "../config-json.ts";
import { readText, readTrained } from "../trained.ts";

/** What is known of a picture that is trained on. */
export interface ConditionedSample {
  readonly caption: string;
  readonly label?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly random: TorchGenerator;
}

/** What networks take beside state and noise level. */
export interface ConditionInputs {
  readonly encoderHiddenStates?: Sym;
  readonly classLabels?: Sym;
}

/** A kind of condition, ready to be trained with. */
export interface Condition {
  /** Tensors of a batch of `n`. */
  batch(n: number): Readonly<Record<string, InputSpec>>;
  /** Networks that are used and not trained. */
  readonly frozen: NonNullable<Program["frozen"]>;
  /** Parameters that are trained with the U-Net's. */
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
  /** In a trace: what the U-Net takes. */
  inputs(
    scopes: Readonly<Record<string, Scope>>,
    batch: Readonly<Record<string, Sym>>,
  ): ConditionInputs;
  /** A batch's tensors; some conditions are left out by chance. */
  draw(samples: readonly ConditionedSample[]): HostTensors;
  /** Tensors for conditions by word, as previews name them; undefined is no condition. */
  named(words: readonly (string | undefined)[]): HostTensors;
  /** Width of the text's states; undefined without text. */
  readonly textWidth?: number;
  /** Rows of the table of classes, the one for no class included; undefined without classes. */
  readonly classRows?: number;
  /** What goes into the model's folder, from the trained tensors. */
  components(trained: Readonly<Record<string, Tensor>>): Readonly<Record<string, SavedComponent>>;
}

/** No condition. */
export const unconditional: Condition = {
  batch: () => ({}),
  frozen: {},
  parameters: {},
  inputs: () => ({}),
  draw: () => ({}),
  named: () => ({}),
  components: () => ({}),
};

/** The class of a picture; one more row of the table stands for none. */
export function classCondition(classes: readonly string[], drop: number): Condition {
  if (classes.length === 0)
    throw new NijimiError(
      "option",
      "The data has no classes; expected class subfolders or labels, or --set condition=none.",
    );
  const none = classes.length;
  const labels = (values: readonly number[]) => ({ labels: int64([values.length], values) });
  return {
    ...unconditional,
    classRows: classes.length + 1,
    batch: (n) => ({ labels: spec("int64", [n]) }),
    inputs: (_, { labels: classLabels }) => ({ classLabels }),
    draw: (samples) =>
      labels(
        samples.map(({ label, random }) => {
          const dropped = random.rand([1]).data[0] < drop;
          return dropped || label === undefined ? none : label;
        }),
      ),
    named: (words) =>
      labels(
        words.map((word) => {
          if (word === undefined || word === "") return none;
          if (!classes.includes(word)) throw unknownName("class", word, classes);
          return classes.indexOf(word);
        }),
      ),
  };
}

/** A text for a sample: its caption, or what says the same. */
export type TextOf = (
  caption: string,
  metadata: Readonly<Record<string, unknown>> | undefined,
  random: TorchGenerator,
) => string;

/** A tower that stays as it is, or is trained along. */
export interface TextTower {
  readonly config: ClipTextConfig;
  readonly tokenizer: Tokenizer;
  /** Of the tokenizer, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** Weights that stay as they are; undefined: trained along. */
  readonly weights?: Readonly<Record<string, Tensor>>;
}

const TOKENIZER_FILES = [
  "vocab.json",
  "merges.txt",
  "tokenizer_config.json",
  "special_tokens_map.json",
];

/** The text tower of a trained CLIP's folder. */
export async function trainedTower(folder: string): Promise<TextTower> {
  const clip = await readTrained(folder);
  const read = async (name: string) => [name, await readText(folder, name)] as const;
  const files = Object.fromEntries(await Promise.all(TOKENIZER_FILES.map(read)));
  return {
    config: readClipTextConfig(clip.config["text_config"] as JsonObject),
    tokenizer: tokenizerOf(files),
    files,
    weights: Object.fromEntries(
      Object.entries(clip.tensors).filter(([name]) => name.startsWith("text_model.")),
    ),
  };
}

/** Size of a tower that is trained along. */
export interface NewTowerSettings {
  readonly vocabularySize: number;
  readonly textLength: number;
  readonly textWidth: number;
  readonly textLayers: number;
}

const HEAD_WIDTH = 64;

/** A tower that begins from nothing, with a vocabulary learnt from captions. */
export function newTower(settings: NewTowerSettings, captions: readonly string[]): TextTower {
  if (captions.length === 0)
    throw new NijimiError(
      "option",
      "The data has no captions; expected .txt files beside the pictures, metadata.jsonl, or --set condition=none.",
    );
  const files = tokenizerFiles(trainBpe(captions, settings.vocabularySize), settings.textLength);
  const tokenizer = tokenizerOf(files);
  const end = tokenizer.idOf(END_TOKEN)!;
  const { textWidth: hiddenSize } = settings;
  return {
    files,
    tokenizer,
    config: {
      ...CLIP_TEXT_DEFAULTS,
      vocabSize: tokenizer.vocabularySize,
      hiddenSize,
      intermediateSize: 4 * hiddenSize,
      projectionDim: hiddenSize,
      numHiddenLayers: settings.textLayers,
      numAttentionHeads: Math.max(1, Math.floor(hiddenSize / HEAD_WIDTH)),
      maxPositionEmbeddings: settings.textLength,
      bosTokenId: tokenizer.idOf(START_TOKEN)!,
      eosTokenId: end,
      padTokenId: end,
    },
  };
}

/** Path of a tower's parameters among those of the U-Net. */
const ALONG = "text_encoder";

/** The text of a picture. */
export function textCondition(
  { config, tokenizer, files, weights }: TextTower,
  { drop, text }: { readonly drop: number; readonly text: TextOf },
): Condition {
  const tower = clipText(config);
  const along = weights === undefined;
  const ids = (texts: readonly string[]) => ({ ids: tokenIds(tokenizer, texts) });
  return {
    textWidth: config.hiddenSize,
    batch: (n) => ({ ids: spec("int64", [n, tokenizer.maxLength]) }),
    frozen: weights === undefined ? {} : { text: weights },
    parameters: along
      ? Object.fromEntries(
          Object.entries(tower.parameters).map(([name, own]) => [`${ALONG}.${name}`, own]),
        )
      : {},
    inputs: (scopes, batch) => ({
      encoderHiddenStates: (along
        ? tower.apply(scopes["unet"], ALONG, { ids: batch["ids"] })
        : tower.apply(scopes["text"], "", { ids: batch["ids"] })
      ).lastHiddenState,
    }),
    draw: (samples) =>
      ids(
        samples.map(({ caption, metadata, random }) => {
          const dropped = random.rand([1]).data[0] < drop;
          return dropped ? "" : text(caption, metadata, random);
        }),
      ),
    named: (words) => ids(words.map((word) => word ?? "")),
    components: (trained) => ({
      text_encoder: {
        library: "transformers",
        className: "CLIPTextModel",
        config: { model_type: "clip_text_model", ...configJson(config) },
        tensors: weights ?? below(ALONG, trained),
      },
      tokenizer: { library: "transformers", className: "CLIPTokenizer", files },
    }),
  };
}

function below(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
): Readonly<Record<string, Tensor>> {
  const prefix = `${path}.`;
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([name, tensor]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), tensor]] : [],
    ),
  );
}
