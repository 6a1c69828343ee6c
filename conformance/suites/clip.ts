/** CLIP's towers against transformers. */
import {
  equal,
  iota,
  logSoftmax,
  mean,
  neg,
  reshape,
  slice,
  sum,
  type Sym,
  transpose,
  where,
} from "nijimi/graph";
import {
  clipLogits,
  clipText,
  clipTextWithProjection,
  clipVision,
  clipVisionWithProjection,
  LOGIT_SCALE,
  normalise,
  readClipTextConfig,
  readClipVisionConfig,
} from "nijimi/models";
import type { Scope } from "nijimi/nn";
import type { Suite } from "../case.ts";
import { runLayer } from "./run-layer.ts";

type Config = Readonly<Record<string, unknown>>;
type Forward = (inputs: Readonly<Record<string, Sym>>, scope: Scope) => Record<string, Sym>;

const states = (hidden: readonly Sym[]): Record<string, Sym> =>
  Object.fromEntries(hidden.map((state, i) => [`hidden_states.${i}`, state]));

const MODELS: Readonly<Record<string, (config: Config) => Forward>> = {
  CLIPTextModel: (json) => {
    const tower = clipText(readClipTextConfig(json));
    return (inputs, scope) => {
      const { lastHiddenState, pooled, hiddenStates } = tower.apply(scope, "", {
        ids: inputs["input_ids"],
        attentionMask: inputs["attention_mask"],
      });
      return {
        last_hidden_state: lastHiddenState,
        pooler_output: pooled,
        penultimate: hiddenStates.at(-2) as Sym,
        ...states(hiddenStates),
      };
    };
  },
  CLIPTextModelWithProjection: (json) => {
    const tower = clipTextWithProjection(readClipTextConfig(json));
    return (inputs, scope) => {
      const { lastHiddenState, embeds, hiddenStates } = tower.apply(scope, "", {
        ids: inputs["input_ids"],
        attentionMask: inputs["attention_mask"],
      });
      return {
        text_embeds: embeds,
        last_hidden_state: lastHiddenState,
        penultimate: hiddenStates.at(-2) as Sym,
        ...states(hiddenStates),
      };
    };
  },
  CLIPVisionModel: (json) => {
    const tower = clipVision(readClipVisionConfig(json));
    return (inputs, scope) => {
      const { lastHiddenState, pooled, hiddenStates } = tower.apply(
        scope,
        "",
        inputs["pixel_values"],
      );
      return {
        last_hidden_state: lastHiddenState,
        pooler_output: pooled,
        penultimate: hiddenStates.at(-2) as Sym,
        ...states(hiddenStates),
      };
    };
  },
  CLIPVisionModelWithProjection: (json) => {
    const tower = clipVisionWithProjection(readClipVisionConfig(json));
    return (inputs, scope) => {
      const { lastHiddenState, embeds, hiddenStates } = tower.apply(
        scope,
        "",
        inputs["pixel_values"],
      );
      return {
        image_embeds: embeds,
        last_hidden_state: lastHiddenState,
        penultimate: hiddenStates.at(-2) as Sym,
        ...states(hiddenStates),
      };
    };
  },
  CLIPModel: (json) => {
    const projection = { projection_dim: json["projection_dim"] };
    const text = clipTextWithProjection(
      readClipTextConfig({ ...(json["text_config"] as Config), ...projection }),
    );
    const vision = clipVisionWithProjection(
      readClipVisionConfig({ ...(json["vision_config"] as Config), ...projection }),
    );
    return (inputs, scope) => {
      const textEmbeds = text.apply(scope, "", {
        ids: inputs["input_ids"],
        attentionMask: inputs["attention_mask"],
      }).embeds;
      const imageEmbeds = vision.apply(scope, "", inputs["pixel_values"]).embeds;
      const perImage = clipLogits(
        imageEmbeds,
        textEmbeds,
        scope.parameter("logit_scale", LOGIT_SCALE),
      );
      const count = perImage.shape[0] as number;
      return {
        logits_per_image: perImage,
        logits_per_text: transpose(perImage, [1, 0]),
        text_embeds: normalise(textEmbeds),
        image_embeds: normalise(imageEmbeds),
        loss: diagonalCrossEntropy(slice(perImage, 1, 0, count)),
      };
    };
  },
};

/** The case's loss: cross-entropy of the images' logits against the diagonal. */
function diagonalCrossEntropy(logits: Sym): Sym {
  const [n] = logits.shape;
  const diagonal = equal(reshape(iota(n), [n, 1]), reshape(iota(n), [1, n]));
  return neg(mean(sum(where(diagonal, logSoftmax(logits, 1), 0), { axes: [1] })));
}

const nameOf = (fn = ""): string => fn.split(".").at(-1) ?? "";

export const suite: Suite = {
  kind: "clip",
  accepts: (c) =>
    c.json.section === "models" &&
    c.json.function?.startsWith("transformers.models.clip.") === true &&
    Object.hasOwn(MODELS, nameOf(c.json.function)),
  run: (c, { device }) =>
    runLayer(c, { device, forward: MODELS[nameOf(c.json.function)](c.json.config ?? {}) }),
};
