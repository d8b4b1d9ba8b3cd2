"""Merges an adapter into its base as PEFT does, in bf16, and saves the model.

Usage: peft_merge.py BASE ADAPTER MERGED
"""

import shutil
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base, adapter, merged = map(Path, sys.argv[1:])
model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(merged)
for file in base.glob("tokenizer*"):
    shutil.copy(file, merged)
