"""SavedModels of Keras 3, and SavedModels that run without their classes."""
