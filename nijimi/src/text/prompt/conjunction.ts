/**
 * Prompts joined by AND (Liu et al. 2022, arXiv:2206.01714): each part has its own schedule and its own share of the
 * guidance, `a cat :1.2 AND a dog AND a penguin :2.2`.
 */
import { PYTHON_SPACE, PYTHON_WORD, trimEndPython } from "../python-text.ts";
import { parseWeight, type WeightedText } from "./attention.ts";

const AND = new RegExp(`(?<![${PYTHON_WORD}])AND(?![${PYTHON_WORD}])`, "u");
const WEIGHT = new RegExp(`:[${PYTHON_SPACE}]*([-+]?(?:\\p{Nd}+\\.?|\\p{Nd}*\\.\\p{Nd}+))$`, "u");

/**
 * The parts of a prompt and their weights. White space at a part's beginning is kept, as the web UI keeps it.
 *
 * @example
 * parseConjunction("a cat :1.2 AND a dog"); // [{ text: "a cat", weight: 1.2 }, { text: " a dog", weight: 1 }]
 */
export function parseConjunction(prompt: string): WeightedText[] {
  return prompt.split(AND).map((part) => {
    const text = trimEndPython(part);
    const weight = WEIGHT.exec(text);
    if (!weight) return { text, weight: 1 };
    return { text: trimEndPython(text.slice(0, weight.index)), weight: parseWeight(weight[1]) };
  });
}
