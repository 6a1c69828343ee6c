/** The inputs of conditional U-Nets by the names that cases give them. */
import type { Sym } from "nijimi/graph";
import type { Unet2dConditionInputs } from "nijimi/models";

/** What a UNet2DConditionModel takes beside sample and timestep. */
export const conditionsOf = (
  given: Readonly<Record<string, Sym>>,
): Omit<Unet2dConditionInputs, "sample" | "timestep"> => ({
  encoderHiddenStates: given["encoder_hidden_states"] ?? given["e"],
  encoderAttentionMask: given["encoder_attention_mask"],
  classLabels: given["class_labels"],
  timestepCond: given["timestep_cond"],
  textEmbeds: given["text_embeds"],
  timeIds: given["time_ids"],
  imageEmbeds: given["image_embeds"],
  hint: given["hint"],
});
