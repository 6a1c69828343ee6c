/** Diffusion models as recipes: a space, a condition, a process, and the folder that is written. */
import {
  saveComponent,
  saveDiffusersFolder,
  type SavedComponent,
} from "../../../checkpoints/save-folder.ts";
import { adamW } from "../../optimisers/adam.ts";
import { layoutOf, type Player, unflattenTensor, type Vectors } from "../../program.ts";
import type { BuildContext, Training } from "../../recipe.ts";
import { modelVector } from "../averaged.ts";
import { stableRate } from "../stable-rate.ts";
import type { Condition } from "./condition.ts";
import { previewer } from "./previewer.ts";
import { makeProcess } from "./process.ts";
import { diffusionProgram, noisedBatch } from "./program.ts";
import { schedulerComponent } from "./scheduler-config.ts";
import type { DiffusionSettings } from "./settings.ts";
import type { Space } from "./space.ts";
import { makeUnet, type TrainedUnet } from "./unet.ts";

/** The program, and what feeds, shows and saves it. */
export async function buildDiffusion(
  settings: DiffusionSettings,
  { space, condition }: { readonly space: Space; readonly condition: Condition },
  { threads }: Pick<BuildContext, "threads">,
): Promise<Training> {
  const { batchSize, seed } = settings;
  const process = makeProcess(settings.process);
  const unet = makeUnet(settings, space.shape[0], condition);
  const player = unetPlayer(settings, { ...unet.parameters, ...condition.parameters });
  const program = diffusionProgram({
    player,
    shape: space.shape,
    batchSize,
    norm: settings.process.norm,
    context: condition.batch(batchSize),
    ...(Object.keys(condition.frozen).length > 0 && { frozen: condition.frozen }),
    network: (scopes, sample, timestep, given) =>
      unet.apply(scopes["unet"], sample, timestep, condition.inputs(scopes, given)),
  });
  const feed = space.feed(
    (x0, samples) => ({
      ...noisedBatch(
        process,
        x0,
        samples.map(({ random }) => random),
      ),
      ...condition.draw(samples),
    }),
    { seed, batchSize },
  );
  const parts = { settings, space, condition, unet, player, threads };
  const previews = settings.previews.length > 0 ? await previewer(parts) : undefined;
  return {
    program,
    feed,
    ...(previews && {
      preview: async (vectors: Vectors) => [
        { name: "samples", images: await previews.run(modelVector(vectors, "unet")) },
      ],
    }),
    save: (vectors, folder) => {
      const trained = unflattenTensor(layoutOf(player), modelVector(vectors, "unet"));
      return saveModel(folder, settings, componentsOf(settings, space, condition, unet, trained));
    },
    dispose: async () => {
      await previews?.dispose();
      await space.dispose();
    },
  };
}

type Components = Readonly<Record<string, SavedComponent>>;

function componentsOf(
  settings: DiffusionSettings,
  space: Space,
  condition: Condition,
  unet: TrainedUnet,
  trained: Parameters<Condition["components"]>[0],
): Components {
  return {
    ...space.components,
    ...condition.components(trained),
    unet: {
      ...unet.component(space.shape[2]),
      tensors: Object.fromEntries(
        Object.keys(unet.parameters).map((name) => [name, trained[name]]),
      ),
    },
    scheduler: schedulerComponent(settings.process),
  };
}

/** As the pipeline of diffusers that has these parts; where there is none, the parts beside each other. */
async function saveModel(
  folder: string,
  { process }: DiffusionSettings,
  components: Components,
): Promise<void> {
  const names = new Set(Object.keys(components));
  const isLatent = names.has("vae") || names.has("vqvae");
  const isPlain =
    !names.has("text_encoder") && components["unet"].config?.["num_class_embeds"] === null;
  if (names.has("vae") && names.has("text_encoder"))
    return saveDiffusersFolder(folder, {
      className: "StableDiffusionPipeline",
      options: { requires_safety_checker: false },
      components: { ...components, safety_checker: null, feature_extractor: null },
    });
  if (isPlain && !isLatent && process.process === "discrete")
    return saveDiffusersFolder(folder, { className: "DDIMPipeline", components });
  if (isPlain && names.has("vqvae"))
    return saveDiffusersFolder(folder, { className: "LDMPipeline", components });
  for (const [name, component] of Object.entries(components))
    await saveComponent(`${folder}/${name}`, component);
}

function unetPlayer(settings: DiffusionSettings, parameters: Player["parameters"]): Player {
  return {
    parameters,
    optimiser: adamW({ betas: [0.9, 0.99], weightDecay: settings.weightDecay }),
    clipNorm: settings.clipNorm,
    ema: { decay: settings.emaDecay },
    learningRate: (update) => stableRate(settings, update),
  };
}
