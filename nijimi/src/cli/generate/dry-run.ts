/** What `--dry-run` prints. */
import { adaptersWithoutPictures } from "../../pipelines/recipe.ts";
import type { CommandContext } from "../command.ts";
import type { AnyRequest, Given } from "./settings.ts";
import { type Pipelines, taskOf } from "./task.ts";

/** Everything is read and checked; nothing is computed or written. */
export function dryRun(
  pipelines: Pipelines,
  { model, given }: { readonly model: string; readonly given: Given },
  request: AnyRequest,
  { result }: CommandContext,
): void {
  const { pipeline, refiner } = pipelines;
  const { image, mask: _mask, depth: _depth, ...settings } = request;
  const size = image && "width" in image ? { width: image.width, height: image.height } : {};
  const resolved = {
    model,
    family: pipeline.family,
    precision: given.precision ?? pipeline.loadedWith.precision,
    ...(refiner && { refiner: refiner.name }),
    task: taskOf(pipelines, request),
    width: pipeline.defaultSize,
    height: pipeline.defaultSize,
    ...(JSON.parse(
      JSON.stringify({ ...settings, ...adaptersWithoutPictures(request) }, (_, value: unknown) =>
        typeof value === "bigint" ? String(value) : value,
      ),
    ) as object),
    ...size,
  };
  result(resolved, (value) =>
    Object.entries(value)
      .map(
        ([name, own]) =>
          `${name.padEnd(16)} ${typeof own === "object" ? JSON.stringify(own) : String(own)}`,
      )
      .join("\n"),
  );
}
