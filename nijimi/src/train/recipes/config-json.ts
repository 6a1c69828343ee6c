/** Our configs as the JSON files of diffusers and transformers. */
import type { JsonObject, JsonValue } from "../../checkpoints/json.ts";
import { snakeCase } from "../../nn/layer.ts";

/** A config with its keys in snake_case. */
export function configJson(config: object): JsonObject {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [snakeCase(key), value as JsonValue]),
  );
}
