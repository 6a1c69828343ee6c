/** Autoencoders against diffusers: AutoencoderKL, AutoencoderTiny, VQModel. */
import type { Sym } from "nijimi/graph";
import {
  autoencoderKl,
  autoencoderTiny,
  klToStandardNormal,
  readAutoencoderKlConfig,
  readAutoencoderTinyConfig,
  readVqModelConfig,
  splitMoments,
  vqModel,
} from "nijimi/models";
import type { Scope } from "nijimi/nn";
import type { Suite } from "../case.ts";
import { runLayer } from "./run-layer.ts";

type Forward = (inputs: Readonly<Record<string, Sym>>, scope: Scope) => Record<string, Sym>;

const MODELS: Readonly<Record<string, (config: Readonly<Record<string, unknown>>) => Forward>> = {
  AutoencoderKL: (json) => {
    const model = autoencoderKl(readAutoencoderKlConfig(json));
    return ({ image, z }, scope) => {
      const moments = model.encode.apply(scope, "", image);
      const { mean, logVariance, std } = splitMoments(moments);
      return {
        moments,
        mean,
        logvar: logVariance,
        std,
        kl: klToStandardNormal(moments),
        reconstruction_of_mode: model.decode.apply(scope, "", mean),
        decoded: model.decode.apply(scope, "", z),
      };
    };
  },
  AutoencoderTiny: (json) => {
    const model = autoencoderTiny(readAutoencoderTinyConfig(json));
    return ({ image, z }, scope) => ({
      latents: model.encode.apply(scope, "", image),
      decoded: model.decode.apply(scope, "", z),
    });
  },
  VQModel: (json) => {
    const model = vqModel(readVqModelConfig(json));
    return ({ image, z }, scope) => {
      const latents = model.encode.apply(scope, "", image);
      const { quantised, indices, loss } = model.quantize.apply(scope, "", latents);
      return {
        latents,
        quantized: quantised,
        indices,
        commit_loss: loss,
        decoded: model.decode.apply(scope, "", quantised),
        // With lookup_from_codebook, what is not to be quantised are indices.
        ...(z === undefined
          ? {}
          : {
              decoded_z_not_quantised: model.decode.apply(
                scope,
                "",
                z.dtype === "int64" ? model.lookup.apply(scope, "", z) : z,
              ),
            }),
      };
    };
  },
};

const nameOf = (fn = ""): string => fn.split(".").at(-1) ?? "";

export const suite: Suite = {
  kind: "autoencoders",
  accepts: (c) => c.json.section === "models" && Object.hasOwn(MODELS, nameOf(c.json.function)),
  run: (c, { device }) =>
    runLayer(c, { device, forward: MODELS[nameOf(c.json.function)](c.json.config ?? {}) }),
};
