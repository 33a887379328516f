"""The values that everything else passes around: standard library only, frozen, without behaviour that does I/O."""
