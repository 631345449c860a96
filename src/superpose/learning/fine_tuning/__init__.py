"""Fine-tuning: a trained model as the beginning of another, on another site's or another question's data.

`spec.py` has the section of a spec, `parent.py` the model that training begins from, `plan.py` what is carried over and
what begins anew.
"""
