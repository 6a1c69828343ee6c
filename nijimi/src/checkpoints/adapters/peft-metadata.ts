/**
 * PEFT's settings of an adapter: diffusers writes them into the safetensors header as `lora_adapter_metadata`,
 * PEFT itself into an `adapter_config.json`. Where neither is there, alpha is the rank.
 */
import { NijimiError } from "../../errors.ts";
import type { Metadata } from "../checkpoint.ts";
import { isJsonObject, parseJsonObject, type JsonObject } from "../json.ts";

/** How a module's alpha and scale are found. */
export interface PeftSettings {
  /** Alpha of a module of a component, by the module's path; undefined where nothing is said. */
  alphaOf(component: string, path: string): number | undefined;
  /** Rank-stabilised LoRA: alpha is divided by the square root of the rank. */
  isRankStabilised(component: string): boolean;
}

/** Settings out of a file's metadata, with those of an `adapter_config.json` for all components. */
export function peftSettings(metadata: Metadata, config?: JsonObject): PeftSettings {
  const text = metadata.lora_adapter_metadata;
  const stored =
    typeof text === "string" ? parseJsonObject(text, { name: "lora_adapter_metadata" }) : {};
  const value = (component: string, key: string) => stored[`${component}.${key}`] ?? config?.[key];
  return {
    alphaOf: (component, path) => {
      const patterns = value(component, "alpha_pattern");
      const special = isJsonObject(patterns)
        ? Object.entries(patterns).find(([pattern]) => names(pattern, path))
        : undefined;
      const alpha = special?.[1] ?? value(component, "lora_alpha");
      if (alpha === undefined || alpha === null) return undefined;
      if (typeof alpha === "number" && Number.isFinite(alpha)) return alpha;
      throw new NijimiError(
        "format",
        `The adapter's metadata has ${JSON.stringify(alpha)} as alpha of ${component}.${path}; a number was expected.`,
      );
    },
    isRankStabilised: (component) => value(component, "use_rslora") === true,
  };
}

/** Whether a pattern names a module: its whole path, or the end of it. Patterns are taken literally. */
function names(pattern: string, path: string): boolean {
  return path === pattern || path.endsWith(`.${pattern}`);
}
