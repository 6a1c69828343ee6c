/** Pictures of how a diffusion model is doing: named conditions from fixed noise. */
import { spec } from "../../../graph/trace.ts";
import { parameterScope, recordScope, unflatten } from "../../../nn/scopes.ts";
import { compile } from "../../../runtime/compile.ts";
import { float32, type Tensor } from "../../../tensor/tensor.ts";
import { layoutOf, type Player } from "../../program.ts";
import type { Condition } from "./condition.ts";
import { samplePreview } from "./preview.ts";
import { makeProcess } from "./process.ts";
import type { DiffusionSettings } from "./settings.ts";
import type { Space } from "./space.ts";
import type { TrainedUnet } from "./unet.ts";

/** What previews are made of. */
export interface PreviewParts {
  readonly settings: DiffusionSettings;
  readonly space: Space;
  readonly condition: Condition;
  readonly unet: TrainedUnet;
  readonly player: Player;
  readonly threads?: number | undefined;
}

/** Draws the previews, of which there is at least one, from a vector of parameters. */
export async function previewer({
  settings,
  space,
  condition,
  unet,
  player,
  threads,
}: PreviewParts) {
  const { previews, previewGuidance } = settings;
  const count = previews.length;
  const layout = layoutOf(player);
  const frozen = Object.entries(condition.frozen);
  const network = await compile(
    ({ parameters, sample, timestep, ...given }) => {
      const scopes = {
        unet: recordScope(unflatten(parameters, layout)),
        ...Object.fromEntries(
          frozen.map(([name]) => [name, parameterScope({ prefix: `${name}.` })] as const),
        ),
      };
      return unet.apply(scopes.unet, sample, timestep, condition.inputs(scopes, given));
    },
    {
      parameters: spec("float32", [layout.size]),
      sample: spec("float32", [count, ...space.shape]),
      timestep: spec("float32", [count]),
      ...condition.batch(count),
    },
    {
      parameters: Object.fromEntries(
        frozen.flatMap(([name, weights]) =>
          Object.entries(weights).map(([key, tensor]) => [`${name}.${key}`, tensor]),
        ),
      ),
      ...(threads !== undefined && { threads }),
    },
  );
  const given = condition.named(previews);
  const none = condition.named(previews.map(() => undefined));
  return {
    run: async (parameters: Tensor): Promise<Tensor<"float32">> => {
      const evaluate = async (sample: Tensor<"float32">, cNoise: number, isGiven: boolean) => {
        const timestep = float32([count], new Array<number>(count).fill(cNoise));
        const inputs = { parameters, sample, timestep, ...(isGiven ? given : none) };
        return (await network(inputs)) as Tensor<"float32">;
      };
      const guidanceScale = Object.keys(given).length === 0 ? 1 : previewGuidance;
      const shape = [count, ...space.shape];
      const process = makeProcess(settings.process);
      return space.show(await samplePreview(process, evaluate, { shape, guidanceScale }));
    },
    dispose: () => network.dispose(),
  };
}
