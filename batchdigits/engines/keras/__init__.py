"""The reference engine: scaler, Keras model, label binarizer.

Their files are searched for anything unsafe before Keras or joblib reads them.
"""
