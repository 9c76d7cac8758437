"""The ink of a field to its characters: parts that hang together, cut along seams and joined.

Parts show the hand that wrote them; a seam cuts where it crosses the least ink, and the cheapest
way to join what is cut makes as many characters as the template says.
"""
