"""How far an answer can be trusted: calibration, prediction sets, abstaining, and rows unlike those of training."""
