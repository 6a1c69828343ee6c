/** From what the user typed to what is encoded when: networks to apply, parts to combine, texts over the steps. */
import { unknownName } from "../../errors.ts";
import { parseConjunction } from "./conjunction.ts";
import { takeNetworks, type NetworkTag } from "./networks.ts";
import { scheduleOf, type ScheduledText, type ScheduleOptions } from "./schedule.ts";

/** `"a1111"`: the web UI's grammar. `"plain"`: the prompt is text, as in diffusers. */
export const PROMPT_GRAMMARS = ["a1111", "plain"] as const;

export type PromptGrammar = (typeof PROMPT_GRAMMARS)[number];

/** One part of a conjunction. */
export interface PromptPart {
  /** Its share of the guidance. */
  readonly weight: number;
  readonly schedule: readonly ScheduledText[];
}

export interface PromptPlan {
  readonly networks: readonly NetworkTag[];
  /** At least one. */
  readonly parts: readonly PromptPart[];
}

/**
 * Reads a prompt.
 *
 * @example
 * planPrompt("a [red:green:0.5] apple <lora:ink:0.8>", { steps: 20, grammar: "a1111" });
 */
export function planPrompt(
  prompt: string,
  { grammar = "a1111", ...options }: ScheduleOptions & { readonly grammar?: PromptGrammar },
): PromptPlan {
  if (!PROMPT_GRAMMARS.includes(grammar))
    throw unknownName("prompt grammar", grammar, PROMPT_GRAMMARS);
  if (grammar === "plain")
    return {
      networks: [],
      parts: [
        { weight: 1, schedule: [{ until: options.hiresSteps ?? options.steps, text: prompt }] },
      ],
    };
  const { text, tags } = takeNetworks(prompt);
  const parts = parseConjunction(text).map((part) => ({
    weight: part.weight,
    schedule: scheduleOf(part.text, options),
  }));
  return { networks: tags, parts };
}

/**
 * The text of a schedule that is in use at a step.
 *
 * @param step counted from 0, as the web UI compares it: a text `until` 10 is in use for steps 0 to 10
 */
export function textAtStep(schedule: readonly ScheduledText[], step: number): string {
  return (schedule.find(({ until }) => step <= until) ?? schedule[0]).text;
}
