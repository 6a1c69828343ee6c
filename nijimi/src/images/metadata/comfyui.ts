/**
 * What ComfyUI writes into pictures: the graph that was run (`prompt`) and the editor's document (`workflow`). The
 * recipe is read from the graph by following the links of its last sampler.
 */
import { seedOf } from "./parameters-text.ts";
import { partialRecipe, type Recipe } from "./recipe.ts";

interface ComfyNode {
  readonly type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

type Graph = ReadonlyMap<string, ComfyNode>;

/** The recipe that a run graph holds; undefined when it is no graph or samples nothing. */
export function recipeOfComfyGraph(prompt: unknown): Recipe | undefined {
  const graph = readGraph(prompt);
  const sampler = [...graph.values()].findLast(
    ({ type, inputs }) => /sampler/i.test(type) && "steps" in inputs,
  );
  if (!sampler) return undefined;
  const { inputs } = sampler;
  const upstream = (name: string, found: (node: ComfyNode) => boolean): ComfyNode | undefined =>
    search(graph, inputs[name], found);
  const hasText = ({ inputs: own }: ComfyNode): boolean =>
    ["text", "text_g", "text_l"].some((name) => typeof own[name] === "string");
  const checkpoint = upstream(
    "model",
    (node) => "ckpt_name" in node.inputs || "unet_name" in node.inputs,
  );
  const latent = upstream(
    "latent_image",
    (node) => "width" in node.inputs && "height" in node.inputs,
  );
  return partialRecipe({
    software: "ComfyUI",
    prompt: textOf(upstream("positive", hasText)),
    negativePrompt: textOf(upstream("negative", hasText)),
    grammar: "plain",
    seed: seedOf(inputs.seed ?? inputs.noise_seed),
    steps: inputs.steps,
    sampler: inputs.sampler_name,
    schedule: inputs.scheduler,
    guidanceScale: inputs.cfg,
    strength: typeof inputs.denoise === "number" && inputs.denoise < 1 ? inputs.denoise : undefined,
    width: latent?.inputs.width,
    height: latent?.inputs.height,
    model: checkpoint && { name: checkpoint.inputs.ckpt_name ?? checkpoint.inputs.unet_name },
    loras: lorasOf(graph, inputs.model),
  });
}

function readGraph(prompt: unknown): Graph {
  if (typeof prompt !== "object" || prompt === null) return new Map();
  return new Map(
    Object.entries(prompt).flatMap(([id, value]: [string, unknown]): [string, ComfyNode][] => {
      const { class_type: type, inputs } = (value ?? {}) as {
        readonly class_type?: unknown;
        readonly inputs?: unknown;
      };
      const isNode = typeof type === "string" && typeof inputs === "object" && inputs !== null;
      return isNode ? [[id, { type, inputs: inputs as ComfyNode["inputs"] }]] : [];
    }),
  );
}

/** Nodes that a link leads to, and those behind them, nearest first. */
function* behind(graph: Graph, link: unknown): Generator<ComfyNode> {
  const seen = new Set<string>();
  const queue: unknown[] = [link];
  for (let i = 0; i < queue.length; i++) {
    const next = queue[i];
    const id = Array.isArray(next) ? String(next[0]) : undefined;
    const node = id === undefined || seen.has(id) ? undefined : graph.get(id);
    if (!node) continue;
    seen.add(id!);
    yield node;
    queue.push(...Object.values(node.inputs));
  }
}

function search(
  graph: Graph,
  link: unknown,
  found: (node: ComfyNode) => boolean,
): ComfyNode | undefined {
  for (const node of behind(graph, link)) if (found(node)) return node;
  return undefined;
}

function textOf(node: ComfyNode | undefined): unknown {
  return node && (node.inputs.text ?? node.inputs.text_g ?? node.inputs.text_l);
}

function lorasOf(graph: Graph, link: unknown): object[] | undefined {
  const loras = [...behind(graph, link)].filter(
    ({ inputs }) => typeof inputs.lora_name === "string",
  );
  if (loras.length === 0) return undefined;
  return loras.map(({ inputs }) => ({
    name: inputs.lora_name,
    weight: inputs.strength_model,
    textWeight: inputs.strength_clip,
  }));
}
